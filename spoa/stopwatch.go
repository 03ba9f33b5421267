package main

import (
	"errors"
	"io"
	"time"

	"github.com/corazawaf/coraza/v3/debuglog"
	"github.com/corazawaf/coraza/v3/types"
)

// errLate: there was no verdict within the time that HAProxy waits.
var errLate = errors.New("timed out without a verdict")

// late is what ends an inspection whose time is up; a panic, since Coraza cannot be asked to stop.
type late struct{}

// looksBetweenTimes is how many of Coraza's looks at its logger go by between two looks at the clock.
const looksBetweenTimes = 16

// stopwatch is Coraza's debug logger, which logs nothing: Coraza asks its logger before every rule and every value that
// a rule looks at, on the goroutine that inspects, and that is the only place where an inspection that takes too long
// can be ended. Coraza asks `With` for a logger of its own for each transaction.
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

// running is the stopwatch of one transaction. Without a deadline it never ends anything.
type running struct {
	debuglog.Logger
	deadline time.Time
	looks    int
	giveWay  func() error // to what is more urgent; nil for what gives way to nothing
}

func (r *running) With(...debuglog.ContextField) debuglog.Logger { return r }
func (r *running) WithLevel(debuglog.Level) debuglog.Logger      { return r }
func (r *running) WithOutput(io.Writer) debuglog.Logger          { return r }

// Debug is asked before every rule and every value.
func (r *running) Debug() debuglog.Event {
	if r.looks%looksBetweenTimes == 0 && !r.deadline.IsZero() {
		r.endIfLate()
	}
	r.looks++
	return r.Logger.Debug()
}

func (r *running) endIfLate() {
	gone := false
	if r.giveWay != nil {
		gone = r.giveWay() != nil
	}
	if gone || time.Now().After(r.deadline) {
		r.deadline = time.Time{} // what ends the transaction is not ended in turn
		panic(late{})
	}
}

// limit ends the transaction's inspection, with a panic of `late`, as soon as it can be after the deadline.
func limit(transaction types.Transaction, deadline time.Time) {
	if watch, ok := transaction.DebugLogger().(*running); ok {
		watch.deadline, watch.looks = deadline, 0
	}
}

// giveWay has the transaction's inspection call this every few steps; an error ends it as if it were late.
func giveWay(transaction types.Transaction, call func() error) {
	if watch, ok := transaction.DebugLogger().(*running); ok {
		watch.giveWay = call
	}
}
