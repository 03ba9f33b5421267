package main

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	variable "github.com/corazawaf/coraza/v3/types/variables"
)

// Limits of an event (docs/events.md). All rule ids are kept, whatever else is truncated.
const (
	longestValue   = 512
	longestURI     = 4096
	longestHeaders = 8192
	longestBody    = 4096
	mostRules      = 500
	mostMatches    = 20       // of one rule
	mostDetail     = 48 << 10 // bytes of data, keys and values of all rules
	// margin is how far beyond its limit a text is examined, so that a secret is not cut before it is found.
	margin = longestSecret
)

// Event is what is recorded of a transaction that fired a rule, collected before it ends. event_json.go writes it.
type Event struct {
	mask    *mask
	secrets secrets
	time    time.Time
	message Message // its body is truncated
	bytes   int     // of the whole body
	unread  bool    // the body was not inspected, because of its content type
	answer  int     // the response's status, 0 before there is one
	verdict Verdict
	phase   string // the phase of the verdict: request or response
	scores  []namedScore
	rules   []firedRule
	cut     int // omitted rules
	left    int // bytes left for details
	size    int // approximate memory use
}

type namedScore struct{ name, value string }

type firedRule struct {
	rule     types.RuleMetadata
	level    string // paranoia
	message  string
	data     string
	disrupts bool
	matches  []match
	cut      int // omitted matches
}

type match struct {
	variable, key, value string
	chain                int
	bytes                int // of the whole value
}

// CRS variables that an event reports as scores.
var scoreNames = []string{
	"blocking_inbound_anomaly_score", "detection_inbound_anomaly_score", "inbound_anomaly_score_threshold",
	"blocking_outbound_anomaly_score", "detection_outbound_anomaly_score", "outbound_anomaly_score_threshold",
	"blocking_paranoia_level", "detection_paranoia_level",
}

// observe records a transaction that fired a rule as an event, and a sample of the others as ordinary requests. It must
// not be closed yet.
func (a *Application) observe(transaction types.Transaction, request observed, phase string) {
	verdict := request.verdict
	if a.events == nil || request.message.Probe {
		return
	}
	if verdict.Interruption == nil && len(verdict.RuleIDs) == 0 {
		a.record(request)
		return
	}
	request.message.Application = a.Config.Name // no longer needed: it may be unknown
	a.events.put(newEvent(a.mask, transaction, request, phase))
}

// observed is a request as an event needs it, and its latest verdict.
type observed struct {
	message Message
	bytes   int // of the whole body
	answer  int
	verdict Verdict
}

// excerpt releases what an event does not show: a request may wait long for its response.
func (o observed) excerpt() observed {
	o.message.Body = bytes.Clone(o.message.Body[:min(len(o.message.Body), longestBody+margin)])
	return o
}

func (e *Event) weight() int { return e.size }

func newEvent(mask *mask, transaction types.Transaction, request observed, phase string) *Event {
	message := request.excerpt().message
	e := &Event{
		mask: mask, time: time.Now().UTC(), message: message, bytes: request.bytes, answer: request.answer,
		verdict: request.verdict, phase: phase, left: mostDetail,
	}
	e.message.ID = request.verdict.ID
	e.message.Path = clip(message.Path, longestURI+margin)
	e.message.Query = clip(message.Query, longestURI+margin)
	e.message.Headers = clip(message.Headers, longestHeaders+margin)
	e.takeSecrets(transaction, request.message.Headers)
	e.message.Body = readableBody(e.message.Body)
	e.takeScores(transaction)
	e.takeRules(transaction.MatchedRules())
	e.size = 4096 + len(e.message.Path) + len(e.message.Query) + len(e.message.Headers) + len(e.message.Body) + mostDetail - e.left
	return e
}

// readableBody returns a body in UTF-16 or UTF-32 as text, so that it can be read and its secrets found.
func readableBody(body []byte) []byte {
	if seen := writtenIn(string(body[:min(len(body), 4)])); wide.MatchString(seen) {
		if text, err := decodeWide(string(body), seen); err == nil {
			return []byte(text)
		}
	}
	return body
}

// clip copies the beginning of a text: a slice of the body would keep all of it in memory.
func clip(text string, length int) string {
	return strings.Clone(text[:min(len(text), length)])
}

func (e *Event) takeScores(transaction types.Transaction) {
	state, ok := transaction.(plugintypes.TransactionState)
	if !ok {
		return
	}
	e.unread = len(state.Variables().TX().Get(unreadBody)) > 0
	for _, name := range scoreNames {
		if values := state.Variables().TX().Get(name); len(values) > 0 {
			if _, err := strconv.Atoi(values[0]); err == nil {
				e.scores = append(e.scores, namedScore{name, values[0]})
			}
		}
	}
}

// takeRules keeps the rules that HAProxy is told about, others that log, and the one that blocked the request. CRS's
// initialization rules always match and do not log. Nor do its detections in responses, for which coraza.conf has no
// default actions.
func (e *Event) takeRules(matched []types.MatchedRule) {
	stop := e.verdict.Interruption
	for _, one := range matched {
		logged, ok := one.(interface{ Log() bool })
		if ok && !logged.Log() && !counts(one) && (stop == nil || stop.RuleID != one.Rule().ID()) {
			continue
		}
		if len(e.rules) == mostRules {
			e.cut++
			continue
		}
		e.rules = append(e.rules, e.fired(one))
	}
}

func (e *Event) fired(one types.MatchedRule) firedRule {
	fired := firedRule{
		rule: one.Rule(), level: paranoiaLevel(one.Rule().Tags()), message: clip(one.Message(), longestValue+margin),
		data: clip(one.Data(), longestValue+margin), disrupts: one.Disruptive(),
	}
	hidden := e.isHidden(one.MatchedDatas())
	if hidden {
		fired.data = masked
	}
	for _, seen := range one.MatchedDatas() {
		if len(fired.matches) == mostMatches || e.left <= 0 {
			fired.cut++
			continue
		}
		value := seen.Value()
		found := match{seen.Variable().Name(), clip(seen.Key(), longestValue+margin), clip(value, longestValue+margin), seen.ChainLevel(), len(value)}
		if hidden {
			found.value = masked
		}
		fired.matches = append(fired.matches, found)
		e.left -= len(found.key) + len(found.value)
	}
	e.left -= len(fired.message) + len(fired.data)
	return fired
}

// isHidden reports whether a rule inspected something masked. Then all its matches and data are omitted: links of a
// chain see the same value under other names (TX:1, MATCHED_VAR).
func (e *Event) isHidden(matches []types.MatchData) bool {
	for _, one := range matches {
		switch one.Variable() {
		case variable.ArgsNames, variable.ArgsGetNames, variable.ArgsPostNames, variable.RequestHeadersNames, variable.RequestCookiesNames,
			variable.ResponseHeadersNames:
			continue // they hold names
		case variable.RequestCookies:
			if e.mask.hides("cookie") {
				return true
			}
		}
		if e.mask.hides(one.Key()) {
			return true
		}
	}
	return false
}

func paranoiaLevel(tags []string) string {
	for _, tag := range tags {
		if level, found := strings.CutPrefix(tag, "paranoia-level/"); found {
			return level
		}
	}
	return ""
}
