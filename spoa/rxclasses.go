package main

import (
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// endOfText is regexp's: the rune before the first and after the last.
const endOfText rune = -1

// neighbour is what a zero-width assertion can see of the rune before or after it.
type neighbour byte

const (
	plain neighbour = iota
	newline
	word
	beginning
)

// rune stands for all runes that are the same to assertions.
func (c neighbour) rune() rune {
	return [...]rune{plain: ' ', newline: '\n', word: 'a', beginning: endOfText}[c]
}

// classes divides all runes into those that a program tells apart, so that a row of its automaton is short.
type classes struct {
	// direct is the class of each byte that is a rune by itself: below 128, or all of them where bytes are matched.
	direct    [256]uint8
	directEnd int
	// firsts are the first runes of the intervals that share a class each; ofInterval is that class.
	firsts     []rune
	ofInterval []uint8
	// examples is a rune of each class; the last is the end of the text.
	examples   []rune
	neighbours []neighbour
}

// divide gives nil if the program tells more runes apart than a byte can number.
func divide(program *syntax.Prog, bytewise bool) *classes {
	sees := assertions(program)
	distinct := distinctRunes(program)
	divided := &classes{firsts: firstRunes(distinct, sees), directEnd: utf8.RuneSelf}
	numbers := map[string]uint8{}
	for _, first := range divided.firsts {
		seen := neighbourOf(first, sees)
		signature := string(appendSignature([]byte{byte(seen)}, distinct, first))
		class, known := numbers[signature]
		if !known {
			if len(divided.examples) == math.MaxUint8 {
				return nil
			}
			class = uint8(len(divided.examples))
			numbers[signature] = class
			divided.examples = append(divided.examples, first)
			divided.neighbours = append(divided.neighbours, seen)
		}
		divided.ofInterval = append(divided.ofInterval, class)
	}
	divided.examples = append(divided.examples, endOfText)
	divided.neighbours = append(divided.neighbours, plain)
	if bytewise {
		divided.directEnd = len(divided.direct)
	}
	for at := range divided.directEnd {
		divided.direct[at] = divided.of(rune(at))
	}
	return divided
}

// of finds the class of a rune.
func (c *classes) of(r rune) uint8 {
	at, exact := slices.BinarySearch(c.firsts, r)
	if !exact {
		at--
	}
	return c.ofInterval[at]
}

func (c *classes) end() uint8 { return uint8(len(c.examples) - 1) }

// distinctRunes are the program's instructions that take a rune, one for each set of runes.
func distinctRunes(program *syntax.Prog) []*syntax.Inst {
	var found []*syntax.Inst
	known := map[string]bool{}
	for at := range program.Inst {
		inst := &program.Inst[at]
		if !takesRune(inst) {
			continue
		}
		if key := fmt.Sprint(inst.Arg, inst.Rune); !known[key] {
			known[key] = true
			found = append(found, inst)
		}
	}
	return found
}

// firstRunes are where intervals begin: within one, no instruction and no assertion tells two runes apart.
func firstRunes(distinct []*syntax.Inst, sees syntax.EmptyOp) []rune {
	firsts := []rune{0}
	between := func(low, high rune) { firsts = append(firsts, low, high+1) }
	for _, inst := range distinct {
		if len(inst.Rune) == 1 {
			eachFold(inst.Rune[0], func(r rune) { between(r, r) })
			continue
		}
		for at := 0; at < len(inst.Rune); at += 2 {
			between(inst.Rune[at], inst.Rune[at+1])
		}
	}
	if sees&seesLines != 0 {
		between('\n', '\n')
	}
	if sees&seesWords != 0 {
		between('0', '9')
		between('A', 'Z')
		between('_', '_')
		between('a', 'z')
	}
	slices.Sort(firsts)
	return slices.Compact(firsts)
}

func eachFold(r rune, call func(rune)) {
	call(r)
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		call(other)
	}
}

const (
	seesLines = syntax.EmptyBeginLine | syntax.EmptyEndLine
	seesWords = syntax.EmptyWordBoundary | syntax.EmptyNoWordBoundary
)

// neighbourOf is plain for what none of the program's assertions look at.
func neighbourOf(r rune, sees syntax.EmptyOp) neighbour {
	switch {
	case r == '\n' && sees&seesLines != 0:
		return newline
	case syntax.IsWordChar(r) && sees&seesWords != 0:
		return word
	}
	return plain
}

// appendSignature appends a bit for each instruction: whether it takes the rune.
func appendSignature(signature []byte, distinct []*syntax.Inst, r rune) []byte {
	var bits byte
	for at, inst := range distinct {
		if inst.MatchRune(r) {
			bits |= 1 << (at % 8)
		}
		if at%8 == 7 {
			signature, bits = append(signature, bits), 0
		}
	}
	return append(signature, bits)
}
