package main

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dropmorepackets/haproxy-go/pkg/encoding"
)

// Values of the variable `error`. HAProxy's own are below 600, so these tell who failed.
const (
	errorUnknownApplication = 1001
	errorBadMessage         = 1002
	errorInternal           = 1003
	errorNoRequest          = 1004
)

// HandleSPOE answers every message at once: with a verdict, or with `error` set. Never with silence, which would make
// HAProxy wait for its whole processing timeout.
func (a *Agent) HandleSPOE(_ context.Context, actions *encoding.ActionWriter, received *encoding.Message) {
	a.inFlight.Add(1)
	defer a.inFlight.Done()
	var inspect func(*Application, Message) (Verdict, error)
	switch string(received.NameBytes()) {
	case "coraza-req":
		inspect = inspectRequest
	case "coraza-res":
		inspect = inspectResponse
	default:
		return
	}
	message, err := readMessage(received.KV)
	if err != nil {
		a.fail(actions, "", errorBadMessage, err)
		return
	}
	application, found := a.applications.enter(message.Application)
	if !found {
		a.fail(actions, "", errorUnknownApplication, errors.New("unknown application "+printable(message.Application)))
		return
	}
	began := time.Now()
	verdict, err := guarded(inspect, application, message)
	a.metrics.seconds.WithLabelValues(application.Config.Name).Observe(time.Since(began).Seconds())
	switch {
	case errors.Is(err, errNoRequest):
		application.errors.Add(1)
		a.fail(actions, application.Config.Name, errorNoRequest, err)
	case err != nil:
		application.errors.Add(1)
		a.fail(actions, application.Config.Name, errorInternal, err)
	default:
		a.count(application, message, verdict)
		verdict.write(actions, message.ExportRuleIDs)
	}
}

// panicked is what a panic in one transaction becomes: it costs that request alone.
type panicked struct{ what any }

func (p panicked) Error() string { return "a panic in the engine" }

func guarded(
	inspect func(*Application, Message) (Verdict, error), application *Application, message Message,
) (verdict Verdict, err error) {
	defer func() {
		if what := recover(); what != nil {
			limited.report("panic", "what", what, "stack", string(debug.Stack()))
			err = panicked{what}
		}
	}()
	return inspect(application, message)
}

func (a *Agent) fail(actions *encoding.ActionWriter, application string, code int64, err error) {
	limited.report("no verdict", "code", code, "error", err)
	a.metrics.requests.WithLabelValues(application, "error").Inc()
	_ = actions.SetInt64(encoding.VarScopeTransaction, "error", code)
}

func (a *Agent) count(application *Application, message Message, verdict Verdict) {
	name := "pass"
	switch {
	case message.Probe:
		name = "probe"
	case verdict.Interruption != nil:
		name = "blocked"
	case len(verdict.RuleIDs) > 0:
		name = "detected"
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
