package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// replaysAtOnce may be open; they share what replays get of the processors.
	replaysAtOnce = 4
	// pauseLength is how long a replay waits before it looks again whether it may go on; most inspections take longer.
	pauseLength = 500 * time.Microsecond
	// longestPause is all that one request of a replay waits for visitors: an agent that is never idle still replays, at
	// most four requests a second for each processor that replays may use.
	longestPause = 250 * time.Millisecond
)

// replays share a part of the processors that they never exceed, and give way to visitors' requests within it.
type replays struct {
	cores     int
	admission *admission
	open      chan struct{}
	slots     chan struct{}
	running   atomic.Int32
}

func newReplays(cores int, admission *admission) *replays {
	return &replays{
		cores: cores, admission: admission, open: make(chan struct{}, replaysAtOnce), slots: make(chan struct{}, max(1, cores/2)),
	}
}

// enter waits for a place among the judged; who has one must `leave`. False when the replay has ended.
func (r *replays) enter(ended context.Context) bool {
	select {
	case r.slots <- struct{}{}:
		r.running.Add(1)
		return true
	case <-ended.Done():
		return false
	}
}

func (r *replays) leave() {
	r.running.Add(-1)
	<-r.slots
}

// crowd tells whether visitors' requests and replays together leave no processor to HAProxy.
func (r *replays) crowd() bool {
	visitors := int(r.admission.busy.Load())
	return visitors > 0 && visitors+int(r.running.Load()) >= r.cores
}

var errEnded = errors.New("the replay has ended")

// givingWay is what one request's inspection calls every few steps: it pauses while visitors need the processors, and ends the
// inspection when the replay has ended.
func (r *replays) givingWay(ended context.Context) func() error {
	left := longestPause
	return func() error {
		for r.crowd() && left > 0 && ended.Err() == nil {
			time.Sleep(pauseLength)
			left -= pauseLength
		}
		if ended.Err() != nil {
			return errEnded
		}
		return nil
	}
}
