package main

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// automaton tells whether a pattern matches anywhere in a text, as RE2 does it: states are sets of the instructions of a
// regular expression's program, made when a text first leads to them, so that each further rune costs two look-ups
// however long the pattern is (https://swtch.com/~rsc/regexp/regexp3.html, "Step 4: cache"). It runs the very program
// that Go's regexp runs and reads runes as that does, so it can say nothing else; what it does not know are submatches.
//
// A state is what was true after a rune: what assertions see of the rune, and the instructions that are to go on. Zero-width
// assertions are decided when the next rune is known, which at the last is the end of the text.
type automaton struct {
	program  *syntax.Prog
	classes  *classes
	stride   uint32 // of a row in a table
	anchored bool   // a match begins at the beginning of the text or not at all

	states atomic.Pointer[states]

	building sync.Mutex // guards what follows, and writing to tables
	pending  []uint32
	reached  marks
	taken    marks
	next     []byte // a state's key
}

// newAutomaton gives nil for a pattern that is too large for one.
func newAutomaton(pattern string, bytewise bool) *automaton {
	program := program(pattern, bytewise)
	if program == nil || len(program.Inst) > widestProgram {
		return nil
	}
	classes := divide(program, bytewise)
	if classes == nil {
		return nil
	}
	a := &automaton{
		program: program, classes: classes, stride: uint32(max(len(classes.examples), int(shortestRow))),
		anchored: program.StartCond()&syntax.EmptyBeginText != 0,
		reached:  marks{of: make([]uint32, len(program.Inst))},
		taken:    marks{of: make([]uint32, len(program.Inst))},
	}
	a.states.Store(a.blank())
	return a
}

// match tells whether there is a match anywhere in the text. The look-ups are written out in one loop, since the compiler
// inlines none of their halves and this is where the time goes.
func (a *automaton) match(text string) bool {
	states, classes, row := a.states.Load(), a.classes, a.stride
	table := states.table
	for at := 0; at < len(text); {
		class := classes.direct[text[at]]
		if int(text[at]) < classes.directEnd {
			at++
		} else {
			r, width := utf8.DecodeRuneInString(text[at:]) // what is not UTF-8 is U+FFFD, byte by byte, as for regexp
			class = classes.of(r)
			at += width
		}
		next := atomic.LoadUint32(&table[row+uint32(class)])
		if next <= dead {
			if next == unknown {
				states, next = a.step(states, row, class)
				table = states.table
			}
			if next <= dead {
				return next == matched
			}
		}
		row = next
	}
	next := atomic.LoadUint32(&table[row+uint32(classes.end())])
	if next == unknown {
		_, next = a.step(states, row, classes.end())
	}
	return next == matched
}

// step makes the transition that a text needs, in the newest states, where the text then goes on.
func (a *automaton) step(from *states, row uint32, class uint8) (*states, uint32) {
	a.building.Lock()
	defer a.building.Unlock()
	if next := from.table[row+uint32(class)]; next != unknown && from == a.states.Load() {
		return from, next
	}
	key := from.keys[row/a.stride]
	next := a.follow(key, class)
	if next == unknown {
		next = a.row(a.next)
	}
	newest := a.states.Load()
	if row, kept := newest.offsets[key]; kept {
		atomic.StoreUint32(&newest.table[row+uint32(class)], next)
	}
	return newest, next
}

// follow tells what becomes of a state with a rune: matched, dead, or unknown and the key of the state in a.next.
func (a *automaton) follow(key string, class uint8) uint32 {
	after := a.classes.examples[class]
	holds := syntax.EmptyOpContext(neighbour(key[0]).rune(), after)
	a.pending = append(a.pending[:0], uint32(a.program.Start))
	for at := 1; at < len(key); at += 2 {
		a.pending = append(a.pending, uint32(binary.LittleEndian.Uint16([]byte(key[at:at+2]))))
	}
	a.reached.clear()
	a.taken.clear()
	for len(a.pending) > 0 {
		last := len(a.pending) - 1
		at := a.pending[last]
		a.pending = a.pending[:last]
		if a.reached.add(at) && a.pass(&a.program.Inst[at], holds, after) {
			return matched
		}
	}
	if after == endOfText || a.anchored && len(a.taken.list) == 0 {
		return dead
	}
	a.next = a.appendKey(a.next[:0], a.classes.neighbours[class])
	return unknown
}

// pass goes over one instruction; true if it is the match.
func (a *automaton) pass(inst *syntax.Inst, holds syntax.EmptyOp, after rune) bool {
	switch inst.Op {
	case syntax.InstMatch:
		return true
	case syntax.InstAlt, syntax.InstAltMatch:
		a.pending = append(a.pending, inst.Out, inst.Arg)
	case syntax.InstCapture, syntax.InstNop:
		a.pending = append(a.pending, inst.Out)
	case syntax.InstEmptyWidth:
		if syntax.EmptyOp(inst.Arg)&^holds == 0 {
			a.pending = append(a.pending, inst.Out)
		}
	case syntax.InstFail:
	default:
		if after != endOfText && inst.MatchRune(after) && inst.Out != uint32(a.program.Start) {
			a.taken.add(inst.Out)
		}
	}
	return false
}

// appendKey names the state of the instructions that were taken. Where a match begins is never among them: a search
// begins anew at every rune.
func (a *automaton) appendKey(key []byte, after neighbour) []byte {
	key = append(key, byte(after))
	slices.Sort(a.taken.list)
	for _, at := range a.taken.list {
		key = binary.LittleEndian.AppendUint16(key, uint16(at))
	}
	return key
}
