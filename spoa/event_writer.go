package main

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	queuedEvents = 8192
	queuedBytes  = 64 << 20
	// batchBytes of lines are written at once, or fewer if no event waits.
	batchBytes = 256 << 10
	// afterFailure is how long a failing disk is left alone. Events in the meantime are dropped and counted.
	afterFailure = time.Second
)

// Events accepts events from the requests' goroutines and writes them in its own. Requests never wait for it: if the
// queue is full, an event is dropped and counted.
type Events struct {
	segments *segments
	metrics  *EventMetrics
	uses     uses
	masks    *masks // recorded ordinary requests
	queue    chan entry
	bytes    atomic.Int64 // of the queue
	done     chan struct{}
	ending   chan struct{}
	ended    atomic.Bool

	lines   []byte
	count   int       // events in lines
	records int       // recorded requests in lines
	paused  time.Time // when to try the disk again
}

// entry becomes a line: an event, or a recorded ordinary request.
type entry interface {
	appendJSON(b []byte) []byte
	weight() int // approximate bytes of memory
}

// startEvents writes to segments in a directory. If it cannot be created or written, events are lost, but the agent
// runs.
func startEvents(dir string, limits limits, metrics *EventMetrics) *Events {
	e := &Events{
		segments: &segments{dir: dir, limits: limits, removed: metrics.removed.Inc}, metrics: metrics, queue: make(chan entry, queuedEvents),
		masks: newMasks(dir), done: make(chan struct{}), ending: make(chan struct{}),
	}
	go e.run()
	return e
}

// put never waits. Ordinary requests do not take places that events may need.
func (e *Events) put(one entry) {
	_, isRecord := one.(*ordinary)
	if e.bytes.Load() > queuedBytes || e.ended.Load() || isRecord && len(e.queue) > queuedEvents/2 {
		e.drop(one, "queue")
		return
	}
	e.bytes.Add(int64(one.weight()))
	select {
	case e.queue <- one:
	default:
		e.bytes.Add(-int64(one.weight()))
		e.drop(one, "queue")
	}
}

func (e *Events) drop(one entry, cause string) {
	if _, isRecord := one.(*ordinary); isRecord {
		e.metrics.recordsDropped.Inc()
	} else {
		e.metrics.dropped.WithLabelValues(cause).Inc()
	}
}

// close writes what is queued. No requests may be running.
func (e *Events) close() {
	if e == nil || e.ended.Swap(true) {
		return
	}
	close(e.ending)
	<-e.done
}

func (e *Events) run() {
	defer close(e.done)
	minutes := time.NewTicker(usesEvery)
	defer minutes.Stop()
	for {
		select {
		case one := <-e.queue:
			e.take(one)
		case now := <-minutes.C:
			e.writeUses(now)
		case <-e.ending:
			for len(e.queue) > 0 {
				e.take(<-e.queue)
			}
			e.writeUses(time.Now())
			e.segments.close()
			return
		}
	}
}

// take adds a line, and writes if there are enough or nothing else waits.
func (e *Events) take(one entry) {
	e.bytes.Add(-int64(one.weight()))
	e.encode(one)
	if len(e.queue) == 0 || len(e.lines) >= batchBytes {
		e.flush()
	}
}

// encode drops an event that cannot be encoded instead of crashing: it contains attackers' bytes.
func (e *Events) encode(one entry) {
	before := len(e.lines)
	defer func() {
		if what := recover(); what != nil {
			limited.report("panic while writing an event", "what", what, "stack", string(debug.Stack()))
			e.lines = e.lines[:before]
			e.drop(one, "fault")
		}
	}()
	if _, isRecord := one.(*ordinary); isRecord {
		if err := e.masks.ready(); err != nil {
			limited.report("cannot record requests", "error", err)
			e.drop(one, "disk")
			return
		}
		e.lines = one.appendJSON(e.lines)
		e.records++
		return
	}
	e.lines = one.appendJSON(e.lines)
	e.count++
}

func (e *Events) flush() {
	if e.count+e.records == 0 {
		return
	}
	written := false
	if time.Now().After(e.paused) {
		if err := e.segments.append(e.lines); err != nil {
			limited.report("cannot write events", "error", err, "events", e.count)
			e.paused = time.Now().Add(afterFailure)
		} else {
			written = true
		}
	}
	if written {
		e.metrics.written.Add(float64(e.count))
		e.metrics.recorded.Add(float64(e.records))
		e.metrics.bytes.Add(float64(len(e.lines)))
	} else {
		e.metrics.dropped.WithLabelValues("disk").Add(float64(e.count))
		e.metrics.recordsDropped.Add(float64(e.records))
	}
	e.lines, e.count, e.records = e.lines[:0], 0, 0
	if cap(e.lines) > 4*batchBytes {
		e.lines = nil
	}
}

// writeUses leaves what a disk refuses out: it is a count of requests, and no proof of anything.
func (e *Events) writeUses(now time.Time) {
	if line := e.uses.appendJSON(nil, now); len(line) > 0 {
		if err := e.segments.append(line); err != nil {
			limited.report("cannot write uses of exclusions", "error", err)
		}
	}
}
