package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Bounds of one replay: its requests, the bytes of one line, the rule sets that it compares, and how long the client may send or
// read nothing.
const (
	replayRequests = 10_000
	replayLine     = 8 << 20
	replayRuleSets = 2
	replaySilence  = time.Minute
)

// ReplayLine answers one request: a verdict for each rule set, or why there is none. The last line of a replay that did not come
// to its end has Ended alone.
type ReplayLine struct {
	Verdicts []ReplayVerdict `json:"verdicts,omitempty"`
	Error    string          `json:"error,omitempty"`
	Ended    string          `json:"ended,omitempty"`
}

// ReplayVerdict is the part of an Evaluation that a replay gives.
type ReplayVerdict struct {
	Verdict   string   `json:"verdict"`
	Status    int      `json:"status,omitempty"`
	Score     int      `json:"anomaly_score"`
	Threshold int      `json:"threshold"` // for requests
	RuleIDs   []string `json:"rule_ids"`
}

func newReplayVerdict(e *Evaluation) ReplayVerdict {
	return ReplayVerdict{e.Verdict, e.Status, e.Score, e.Scores.Inbound.Threshold, e.RuleIDs}
}

// replaying is one replay under way. Requests are judged side by side, and answered in their order.
type replaying struct {
	agent        *Agent
	applications []*Application
	control      *http.ResponseController
	ended        context.Context
	answers      chan chan ReplayLine
	lines        chan replayedLine
	judging      sync.WaitGroup
}

// replayedLine is a request that is still to be judged, and where its answer goes.
type replayedLine struct {
	text   []byte
	answer chan<- ReplayLine
}

// replay answers POST /v1/replay: a head, then one request a line, and the verdicts a line as they come. Before the first of them,
// it refuses as evaluate does.
func (a *Agent) replay(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	w.Header().Set("Connection", "close")
	_ = control.EnableFullDuplex() // verdicts are written while requests are read
	// What follows an answer is not waited for: who was refused has perhaps sent no request yet, and no end.
	defer func() { _ = control.SetReadDeadline(time.Now()) }()
	select {
	case a.replays.open <- struct{}{}:
		defer func() { <-a.replays.open }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, fmt.Sprintf("%d replays are already running", replaysAtOnce))
		return
	}
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, replayLine)
	_ = control.SetReadDeadline(time.Now().Add(replaySilence))
	head, err := readHead(lines)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !a.replays.enter(r.Context()) { // compiling them takes a processor, too
		return
	}
	asked := a.askedAll(head.Under)
	a.replays.leave()
	defer asked.leave()
	if asked.refused != nil {
		asked.refused(w)
		return
	}
	ended, end := context.WithCancel(r.Context())
	defer end()
	replaying := &replaying{
		agent: a, applications: asked.applications, control: control, ended: ended,
		answers: make(chan chan ReplayLine, 4*cap(a.replays.slots)), lines: make(chan replayedLine),
	}
	for range cap(a.replays.slots) {
		replaying.judging.Go(func() { aside(replayNice, replaying.judgeAll) })
	}
	go replaying.read(lines)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	_ = control.Flush() // before the first request: the rule sets are accepted
	replaying.write(w, end)
	replaying.judging.Wait() // before the applications are left
}

// read hands each request to who judges it, as many side by side as replays may be, until there are no more.
func (r *replaying) read(lines *bufio.Scanner) {
	defer close(r.answers)
	defer close(r.lines)
	for count := 0; ; count++ {
		_ = r.control.SetReadDeadline(time.Now().Add(replaySilence))
		if !lines.Scan() {
			break
		}
		if count == replayRequests {
			r.answered(ReplayLine{Ended: fmt.Sprintf("more than %d requests", replayRequests)})
			return
		}
		answer := make(chan ReplayLine, 1)
		if !r.hand(replayedLine{bytes.Clone(lines.Bytes()), answer}) || !r.queue(answer) {
			return
		}
	}
	_ = r.control.SetReadDeadline(time.Time{}) // from here on, a read only notices that the client has gone
	if err := lines.Err(); err != nil {
		r.answered(ReplayLine{Ended: fmt.Sprintf("cannot read the next request (at most %d bytes): %v", replayLine, err)})
	}
}

// hand waits for someone who judges the line.
func (r *replaying) hand(line replayedLine) bool {
	select {
	case r.lines <- line:
		return true
	case <-r.ended.Done():
		return false
	}
}

// judgeAll judges one line after the other, while replays may.
func (r *replaying) judgeAll() {
	for line := range r.lines {
		if !r.agent.replays.enter(r.ended) {
			line.answer <- ReplayLine{Ended: "its client has gone"}
			continue
		}
		line.answer <- r.judge(line.text)
		r.agent.replays.leave()
	}
}

func (r *replaying) queue(answer chan ReplayLine) bool {
	select {
	case r.answers <- answer:
		return true
	case <-r.ended.Done():
		return false
	}
}

func (r *replaying) answered(line ReplayLine) {
	answer := make(chan ReplayLine, 1)
	answer <- line
	r.queue(answer)
}

// judge gives the verdicts on one line's request, by evaluate's own way.
func (r *replaying) judge(line []byte) ReplayLine {
	question := &Question{}
	if err := readStrictly(bytes.NewReader(line), question); err != nil {
		return ReplayLine{Error: err.Error()}
	}
	if question.Application != "" || question.Directives != "" {
		return ReplayLine{Error: "application and directives belong in the first line, under"}
	}
	if err := question.checkRequest(); err != nil {
		return ReplayLine{Error: err.Error()}
	}
	answer := ReplayLine{}
	for _, application := range r.applications {
		evaluation, err := evaluateGuarded(application, question, r.agent.evaluating, r.ended)
		if err != nil {
			return ReplayLine{Error: err.Error()}
		}
		answer.Verdicts = append(answer.Verdicts, newReplayVerdict(evaluation))
	}
	return answer
}

// write gives the answers in the order of the requests, each as soon as it is there, and ends the replay when nobody reads them.
func (r *replaying) write(w http.ResponseWriter, end func()) {
	encoder := json.NewEncoder(w)
	for answer := range r.answers {
		_ = r.control.SetWriteDeadline(time.Now().Add(replaySilence))
		if encoder.Encode(<-answer) != nil || r.control.Flush() != nil {
			end()
			_ = r.control.SetReadDeadline(time.Now()) // so that the reader, too, comes to its end
			for range r.answers {
				continue
			}
			return
		}
	}
	_ = r.control.SetWriteDeadline(time.Time{})
}
