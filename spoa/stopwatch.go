package main

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/corazawaf/coraza/v3/debuglog"
	"github.com/corazawaf/coraza/v3/types"
)

// errLate: there was no verdict within HAProxy's timeout.
var errLate = errors.New("timed out without a verdict")

// late ends an inspection whose time is up. It is a panic, since Coraza cannot be interrupted.
type late struct{}

// looksBetweenTimes is the number of logger calls by Coraza between two looks at the clock.
const looksBetweenTimes = 16

// stopwatch is a debug logger for Coraza that logs nothing. Coraza queries its logger before every rule and every
// value, on the inspecting goroutine: the only place where an inspection that takes too long can be ended. Coraza calls
// `With` for each transaction's logger.
type stopwatch struct{}

func (stopwatch) WithOutput(io.Writer) debuglog.Logger     { return stopwatch{} }
func (stopwatch) WithLevel(debuglog.Level) debuglog.Logger { return stopwatch{} }
func (stopwatch) With(...debuglog.ContextField) debuglog.Logger {
	return &running{Logger: debuglog.Noop()}
}
func (stopwatch) Trace() debuglog.Event { return debuglog.Noop().Trace() }
func (stopwatch) Debug() debuglog.Event { return debuglog.Noop().Debug() }
func (stopwatch) Info() debuglog.Event  { return debuglog.Noop().Info() }
func (stopwatch) Warn() debuglog.Event  { return debuglog.Noop().Warn() }
func (stopwatch) Error() debuglog.Event { return debuglog.Noop().Error() }

// running is a transaction's stopwatch. Without a limit it never ends anything.
type running struct {
	debuglog.Logger
	deadline time.Time
	works    bool          // it is not limited by the deadline, but by:
	budget   time.Duration // what its thread has had of the processor when it is over
	looks    int
	ended    context.Context // whoever waits for the verdict; nil for what is not ended before its time
}

func (r *running) With(...debuglog.ContextField) debuglog.Logger { return r }
func (r *running) WithLevel(debuglog.Level) debuglog.Logger      { return r }
func (r *running) WithOutput(io.Writer) debuglog.Logger          { return r }

// Debug is called before every rule and every value.
func (r *running) Debug() debuglog.Event {
	if r.looks%looksBetweenTimes == 0 && (r.works || !r.deadline.IsZero()) {
		r.endIfLate()
	}
	r.looks++
	return r.Logger.Debug()
}

func (r *running) endIfLate() {
	if r.ended != nil && r.ended.Err() != nil || r.isOver() {
		r.deadline, r.works = time.Time{}, false // the end of the transaction is not interrupted
		panic(late{})
	}
}

func (r *running) isOver() bool {
	if r.works {
		return ofProcessor() >= r.budget
	}
	return time.Now().After(r.deadline)
}

// limit ends the transaction's inspection with a panic of `late`, soon after the deadline.
func limit(transaction types.Transaction, deadline time.Time) {
	if watch, ok := transaction.DebugLogger().(*running); ok {
		watch.deadline, watch.looks = deadline, 0
	}
}

// limitWork ends it soon after its thread has had this much more of the processor: what waits for visitors may have to wait
// longer than it works.
func limitWork(transaction types.Transaction, most time.Duration) {
	if watch, ok := transaction.DebugLogger().(*running); ok {
		watch.works, watch.budget, watch.looks = true, ofProcessor()+most, 0
	}
}

// ofProcessor is the processor time of this thread.
func ofProcessor() time.Duration {
	usage := syscall.Rusage{}
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &usage); err != nil {
		panic(err) // it fails for a wrong argument only
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// endWith has the transaction's inspection end soon after this has ended, as if it were late.
func endWith(transaction types.Transaction, ended context.Context) {
	if watch, ok := transaction.DebugLogger().(*running); ok {
		watch.ended = ended
	}
}
