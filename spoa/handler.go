package main

import (
	"errors"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dropmorepackets/haproxy-go/pkg/encoding"
)

// Values of the variable `error`. HAProxy's own are below 600, so these identify the agent's.
const (
	errorUnknownApplication = 1001
	errorBadMessage         = 1002
	errorInternal           = 1003
	errorNoRequest          = 1004
	errorOverload           = 1005
	errorLate               = 1006
)

// causes are the metric's labels for the values of `error`.
var causes = map[int64]string{
	errorUnknownApplication: "unknown_application", errorBadMessage: "bad_message", errorInternal: "internal",
	errorNoRequest: "no_request", errorOverload: "queue_full", errorLate: "late",
}

// answer returns the actions for a NOTIFY's messages: a verdict or `error`. Never nothing, which would make HAProxy
// wait for its whole processing timeout.
func (a *Agent) answer(payload []byte) []byte {
	deadline := time.Now().Add(a.patience)
	actions := encoding.NewActionWriter(make([]byte, 512), 0)
	messages := reader{rest: payload}
	for first := true; first || len(messages.rest) > 0; first = false {
		message := readMessage(&messages)
		if messages.err != nil {
			a.fail(actions, message, nil, errorBadMessage, messages.err)
			break
		}
		a.answerOne(actions, message, deadline)
	}
	return actions.Bytes()
}

func (a *Agent) answerOne(actions *encoding.ActionWriter, message Message, deadline time.Time) {
	inspect := inspections[message.Name]
	if inspect == nil {
		a.fail(actions, message, nil, errorBadMessage, errors.New("unknown message "+printable(message.Name)))
		return
	}
	application, found := a.applications.enter(message.Application)
	if !found {
		a.fail(actions, message, nil, errorUnknownApplication, errors.New("unknown application "+printable(message.Application)))
		return
	}
	began := time.Now()
	verdict, err := a.guarded(inspect, application, message, deadline)
	a.metrics.seconds.WithLabelValues(application.Config.Name).Observe(time.Since(began).Seconds())
	a.metrics.bytes.WithLabelValues(application.Config.Name).Add(float64(message.size()))
	if err != nil {
		a.fail(actions, message, application, codeOf(err), err)
		return
	}
	a.count(application, message, verdict)
	verdict.write(actions, message.ExportRuleIDs)
}

func codeOf(err error) int64 {
	switch {
	case errors.Is(err, errNoRequest):
		return errorNoRequest
	case errors.Is(err, errQueueFull):
		return errorOverload
	case errors.Is(err, errLate):
		return errorLate
	}
	return errorInternal
}

// inspection judges a message until the deadline, and releases the application with which it is called.
type inspection func(*Application, Message, time.Time) (Verdict, error)

// inspections by the names of SPOE messages.
var inspections = map[string]inspection{"coraza-req": inspectRequest, "coraza-res": inspectResponse}

// panicked is the result of a panic in a transaction, which affects only that request.
type panicked struct{ what any }

func (p panicked) Error() string { return "panic in the engine" }

// panicError classifies a panic of an inspection: its time was up, or the engine has a bug.
func panicError(what any) error {
	if _, isLate := what.(late); isLate {
		return errLate
	}
	limited.report("panic", "what", what, "stack", string(debug.Stack()))
	return panicked{what}
}

// guarded inspects when a slot is free. Messages that cannot be judged in time leave nothing behind.
func (a *Agent) guarded(
	inspect inspection, application *Application, message Message, deadline time.Time,
) (verdict Verdict, err error) {
	slot, err := a.admission.enter(message, deadline)
	if err != nil {
		application.leave()
		return Verdict{}, err
	}
	defer func() {
		a.admission.leave(slot)
		if what := recover(); what != nil {
			err = panicError(what)
		}
	}()
	return inspect(application, message, deadline)
}

// fail answers without a verdict. The application is nil if unknown.
func (a *Agent) fail(actions *encoding.ActionWriter, message Message, application *Application, code int64, err error) {
	limited.report("no verdict", "code", code, "error", err, "id", printable(message.ID))
	name, verdict := "", "error"
	if application != nil {
		name = application.Config.Name
		if !message.Probe {
			application.errors.Add(1)
		}
	}
	if message.Probe {
		verdict = "probe"
	}
	a.metrics.requests.WithLabelValues(name, verdict).Inc()
	a.metrics.errors.WithLabelValues(causes[code]).Inc()
	setError(actions, code)
}

// failure is the actions of an answer that has nothing but `error`.
func failure(code int64) []byte {
	actions := encoding.NewActionWriter(make([]byte, 64), 0)
	setError(actions, code)
	return actions.Bytes()
}

func setError(actions *encoding.ActionWriter, code int64) {
	_ = actions.SetInt64(encoding.VarScopeTransaction, "error", code)
}

func (a *Agent) count(application *Application, message Message, verdict Verdict) {
	name := verdict.name()
	if message.Probe {
		name = "probe"
	}
	a.metrics.requests.WithLabelValues(application.Config.Name, name).Inc()
	if message.Probe {
		return
	}
	application.requests.Add(1)
	if verdict.Interruption != nil {
		application.blocked.Add(1)
	}
}

// write sets coraza-spoa's variables in the transaction's scope.
func (v Verdict) write(actions *encoding.ActionWriter, exportRuleIDs bool) {
	const scope = encoding.VarScopeTransaction
	_ = actions.SetString(scope, "id", v.ID)
	_ = actions.SetInt64(scope, "rules_hit", int64(len(v.RuleIDs)))
	_ = actions.SetInt64(scope, "anomaly_score", int64(v.Score))
	if exportRuleIDs {
		_ = actions.SetString(scope, "rule_ids", strings.Join(v.RuleIDs, ","))
	}
	if v.Interruption != nil {
		_ = actions.SetInt64(scope, "status", int64(v.Interruption.Status))
		_ = actions.SetString(scope, "action", v.Interruption.Action)
		_ = actions.SetString(scope, "data", v.Interruption.Data)
		_ = actions.SetInt64(scope, "ruleid", int64(v.Interruption.RuleID))
	}
}

func printable(text string) string {
	if len(text) > 80 {
		text = text[:80]
	}
	return strings.ToValidUTF8(text, "?")
}
