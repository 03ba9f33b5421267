package main

import "context"

// replaysAtOnce may be open; they share what replays get of the processors.
const replaysAtOnce = 4

// replays share a part of the processors that they never exceed. Within it they give way to visitors' requests (aside.go).
type replays struct {
	open  chan struct{}
	slots chan struct{}
}

func newReplays(cores int) *replays {
	return &replays{open: make(chan struct{}, replaysAtOnce), slots: make(chan struct{}, max(1, cores/2))}
}

// enter waits for a place among the judged; who has one must `leave`. False when the replay has ended.
func (r *replays) enter(ended context.Context) bool {
	select {
	case r.slots <- struct{}{}:
		return true
	case <-ended.Done():
		return false
	}
}

func (r *replays) leave() { <-r.slots }
