package main

import (
	"encoding/binary"
	"math"
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

// states is what an automaton has made of itself so far. Readers use it without a lock; each row is a state, each entry
// where the rune's class leads to: unknown, matched, dead, or the offset of a row. The set grows by being replaced.
type states struct {
	table   []uint32
	keys    []string // by row
	offsets map[string]uint32
	size    int // of the keys, in bytes
}

const (
	unknown uint32 = iota
	matched
	dead
	shortestRow // so that the offset of the second row is above all of these; the first is not used

	firstRows = 8
	// statesLimit is how many bytes the states of one pattern may take before they are forgotten and made anew.
	statesLimit = 1 << 20
	// widestProgram is what a key's two bytes for an instruction can number.
	widestProgram = math.MaxUint16
)

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

// row gives the offset of a state's row in the newest states, and makes the row where there is none.
func (a *automaton) row(key []byte) uint32 {
	s := a.states.Load()
	if offset, found := s.offsets[string(key)]; found {
		return offset
	}
	if full := len(s.keys)*int(a.stride) == len(s.table); full || s.bytes() > statesLimit {
		s = a.grown(s)
	}
	offset := s.add(string(key), a.stride)
	a.states.Store(s)
	return offset
}

// grown is a set with more room: twice as much, or empty where that would be over the limit.
func (a *automaton) grown(s *states) *states {
	if s.bytes()+4*len(s.table) > statesLimit {
		return a.blank()
	}
	larger := *s
	larger.table = make([]uint32, 2*len(s.table))
	copy(larger.table, s.table)
	return &larger
}

// blank is a set with nothing but where every text begins.
func (a *automaton) blank() *states {
	s := &states{table: make([]uint32, firstRows*a.stride), keys: []string{""}, offsets: map[string]uint32{}}
	s.add(string([]byte{byte(beginning)}), a.stride)
	return s
}

// bytes is what the states take, about.
func (s *states) bytes() int { return 4*len(s.table) + s.size }

func (s *states) add(key string, stride uint32) uint32 {
	offset := uint32(len(s.keys)) * stride
	s.keys = append(s.keys, key)
	s.offsets[key] = offset
	s.size += 2*len(key) + 64
	return offset
}

// marks is a set of instructions that is cleared in no time.
type marks struct {
	of    []uint32
	round uint32
	list  []uint32
}

func (m *marks) clear() {
	m.list = m.list[:0]
	if m.round++; m.round == 0 {
		clear(m.of)
		m.round = 1
	}
}

// add is false for one that is in the set already.
func (m *marks) add(at uint32) bool {
	if m.of[at] == m.round {
		return false
	}
	m.of[at] = m.round
	m.list = append(m.list, at)
	return true
}
