package main

import (
	"context"
	"errors"
	"io"
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

// running is a transaction's stopwatch. Without a deadline it never ends anything.
type running struct {
	debuglog.Logger
	deadline time.Time
	looks    int
	ended    context.Context // whoever waits for the verdict; nil for what is not ended before its time
}

func (r *running) With(...debuglog.ContextField) debuglog.Logger { return r }
func (r *running) WithLevel(debuglog.Level) debuglog.Logger      { return r }
func (r *running) WithOutput(io.Writer) debuglog.Logger          { return r }

// Debug is called before every rule and every value.
func (r *running) Debug() debuglog.Event {
	if r.looks%looksBetweenTimes == 0 && !r.deadline.IsZero() {
		r.endIfLate()
	}
	r.looks++
	return r.Logger.Debug()
}

func (r *running) endIfLate() {
	if r.ended != nil && r.ended.Err() != nil || time.Now().After(r.deadline) {
		r.deadline = time.Time{} // the end of the transaction is not interrupted
		panic(late{})
	}
}

// limit ends the transaction's inspection with a panic of `late`, soon after the deadline.
func limit(transaction types.Transaction, deadline time.Time) {
	if watch, ok := transaction.DebugLogger().(*running); ok {
		watch.deadline, watch.looks = deadline, 0
	}
}

// endWith has the transaction's inspection end soon after this has ended, as if it were late.
func endWith(transaction types.Transaction, ended context.Context) {
	if watch, ok := transaction.DebugLogger().(*running); ok {
		watch.ended = ended
	}
}
