package main

import (
	"math"
	"time"
)

// Met is one kind of answer: who decided it, for which host and request, and what it was.
type Met struct {
	Checksum, Host, Kind string
	Status               int
	Server, Application  string
}

// Step is a connection whose next answer another revision decided.
type Step struct{ Before, After string }

// First is what decided the first answer of a connection that was opened after the save with that number.
type First struct {
	AtLeast  int64
	Checksum string
}

// Lost is a request without its answer. Answers were given on this connection before.
type Lost struct {
	Cause, Fleet, Host, Kind string
	Answers                  int
	At                       int64
}

// Tally is one visitor's; nobody else touches it until the end.
type Tally struct {
	met    map[Met]int
	steps  map[Step]int
	firsts map[First]int
	lost   []Lost
	plain  Times
	judged Times
}

// Times counts answers by how long they took, in steps of 5 %.
type Times [400]int

const perStep = 20 // steps for a factor of e

func newTally() *Tally {
	return &Tally{met: map[Met]int{}, steps: map[Step]int{}, firsts: map[First]int{}}
}

func (t *Tally) lose(lost Lost) { t.lost = append(t.lost, lost) }

func (t *Tally) count(host, kind string, answer Answer, on *Connection, took time.Duration) {
	t.met[Met{answer.checksum, host, kind, answer.status, answer.server, answer.application}]++
	switch on.decided {
	case answer.checksum:
	case "":
		t.firsts[First{on.atLeast, answer.checksum}]++
	default:
		t.steps[Step{on.decided, answer.checksum}]++
	}
	on.decided = answer.checksum
	times := &t.plain
	if answer.application != "" && answer.application != "-" {
		times = &t.judged
	}
	times[min(len(times)-1, int(perStep*math.Log(1+float64(took.Microseconds()))))]++
}

// Report is all that was met. Latencies in milliseconds.
type Report struct {
	Requests, Connections int
	Seconds               float64
	Met                   []Counted[Met]
	Steps                 []Counted[Step]
	Firsts                []Counted[First]
	Lost                  []Lost
	Plain, Judged         Latency
}

type Counted[T any] struct {
	What  T
	Count int
}

type Latency struct {
	Count    int
	P50, P99 float64
}

func merged(tallies []*Tally, took time.Duration) Report {
	all := newTally()
	report := Report{Requests: int(asked.Load()), Seconds: took.Seconds(), Lost: []Lost{}}
	for _, tally := range tallies {
		add(all.met, tally.met)
		add(all.steps, tally.steps)
		add(all.firsts, tally.firsts)
		report.Lost = append(report.Lost, tally.lost...)
		for at := range tally.plain {
			all.plain[at] += tally.plain[at]
			all.judged[at] += tally.judged[at]
		}
	}
	report.Met, report.Steps, report.Firsts = counted(all.met), counted(all.steps), counted(all.firsts)
	for _, first := range report.Firsts {
		report.Connections += first.Count
	}
	report.Plain, report.Judged = all.plain.latency(), all.judged.latency()
	return report
}

func add[T comparable](to, from map[T]int) {
	for what, count := range from {
		to[what] += count
	}
}

func counted[T comparable](from map[T]int) []Counted[T] {
	list := make([]Counted[T], 0, len(from))
	for what, count := range from {
		list = append(list, Counted[T]{what, count})
	}
	return list
}

func (t *Times) latency() Latency {
	count := 0
	for _, number := range t {
		count += number
	}
	return Latency{count, t.percentile(count, 0.5), t.percentile(count, 0.99)}
}

func (t *Times) percentile(count int, part float64) float64 {
	left := int(float64(count) * part)
	for at, number := range t {
		if left -= number; left < 0 {
			return math.Exp(float64(at+1)/perStep) / 1000
		}
	}
	return 0
}
