package main

import (
	"math"
)

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
