package main

import (
	"regexp/syntax"

	bytesyntax "rsc.io/binaryregexp/syntax"
)

// program compiles a pattern as the package that Coraza runs it with does: regexp, or binaryregexp for bytes, where a
// rune is a byte. Nil where it cannot.
func program(pattern string, bytewise bool) *syntax.Prog {
	if bytewise {
		return byteProgram(pattern)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	compiled, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil
	}
	return compiled
}

// byteProgram puts binaryregexp's program, whose package is a copy of regexp's, into the words of regexp's.
func byteProgram(pattern string) *syntax.Prog {
	parsed, err := bytesyntax.Parse(pattern, bytesyntax.Perl)
	if err != nil {
		return nil
	}
	compiled, err := bytesyntax.Compile(parsed.Simplify())
	if err != nil {
		return nil
	}
	same := &syntax.Prog{Inst: make([]syntax.Inst, len(compiled.Inst)), Start: compiled.Start, NumCap: compiled.NumCap}
	for at, inst := range compiled.Inst {
		same.Inst[at] = syntax.Inst{Op: syntax.InstOp(inst.Op), Out: inst.Out, Arg: inst.Arg, Rune: inst.Rune}
	}
	return same
}

// assertions are the zero-width assertions that occur anywhere in a program.
func assertions(program *syntax.Prog) syntax.EmptyOp {
	var found syntax.EmptyOp
	for _, inst := range program.Inst {
		if inst.Op == syntax.InstEmptyWidth {
			found |= syntax.EmptyOp(inst.Arg)
		}
	}
	return found
}

func takesRune(inst *syntax.Inst) bool {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}
