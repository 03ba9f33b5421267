package main

import (
	"slices"
	"time"
)

// tally is one connection's; nobody else touches it until the end.
type tally struct {
	last     time.Time // when the last answer came
	statuses map[int]int
	failures map[string]int
	times    []time.Duration // of those that were let through
}

func (t *tally) count(status int, took time.Duration) {
	if t.statuses == nil {
		t.statuses = map[int]int{}
	}
	t.statuses[status]++
	if status == 200 {
		t.times = append(t.times, took)
	}
}

func (t *tally) fail(err error) {
	if t.failures == nil {
		t.failures = map[string]int{}
	}
	t.failures[err.Error()]++
}

// Report is what came of a plan. Times, in milliseconds, are of the answers with status 200.
type Report struct {
	Seconds, Processor float64
	Statuses           map[int]int
	Failures           map[string]int
	Times              []float64 // sorted
}

func report(tallies []tally, took, processor time.Duration) Report {
	all := Report{
		Seconds: took.Seconds(), Processor: processor.Seconds(),
		Statuses: map[int]int{}, Failures: map[string]int{}, Times: []float64{},
	}
	for _, tally := range tallies {
		for status, count := range tally.statuses {
			all.Statuses[status] += count
		}
		for words, count := range tally.failures {
			all.Failures[words] += count
		}
		for _, took := range tally.times {
			all.Times = append(all.Times, took.Seconds()*1000)
		}
	}
	slices.Sort(all.Times)
	return all
}
