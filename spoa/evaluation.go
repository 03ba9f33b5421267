package main

import (
	"context"
	"encoding/base64"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	corazavars "github.com/corazawaf/coraza/v3/types/variables"
)

// shownValue is the number of bytes of a matched value that are shown. A variable may contain a whole body.
const shownValue = 8 << 10

// Evaluation is the response to a Question: the verdict of the live path, and its reasons.
type Evaluation struct {
	Application  string            `json:"application,omitempty"`
	Verdict      string            `json:"verdict"` // pass, detected, blocked
	Status       int               `json:"status,omitempty"`
	Interruption *Stopped          `json:"interruption"`
	Score        int               `json:"anomaly_score"` // as told to HAProxy: the response's if that was inspected
	Scores       Scores            `json:"scores"`
	RuleIDs      []string          `json:"rule_ids"`
	Rules        []EvaluatedRule   `json:"rules"`
	Seconds      EvaluationSeconds `json:"seconds"`
}

// EvaluationSeconds are durations. Compiling is set only if directives were sent.
type EvaluationSeconds struct {
	Compile float64 `json:"compile,omitempty"`
	Inspect float64 `json:"inspect"`
}

// Stopped is the rule that ended the request or response, and its action. Data is a redirect's target.
type Stopped struct {
	Action string `json:"action"`
	Status int    `json:"status"`
	RuleID int    `json:"rule_id"`
	Data   string `json:"data,omitempty"`
	On     string `json:"on"` // request or response
}

// EvaluatedRule is a rule that matched, including control rules. Counted ones are those that the live path reports.
type EvaluatedRule struct {
	RuleFacts
	Data       string           `json:"data"`
	Counted    bool             `json:"counted"`
	Disruptive bool             `json:"disruptive"`
	Matches    []EvaluatedMatch `json:"matches"`
}

// EvaluatedMatch is a variable that a rule, or the given link of its chain (0 is the rule itself), matched. The value
// is what the operator saw, after transformations.
type EvaluatedMatch struct {
	Variable    string `json:"variable"`
	Key         string `json:"key,omitempty"`
	Value       string `json:"value"`
	ValueBase64 string `json:"value_base64,omitempty"` // if the bytes are not valid UTF-8
	ValueLength int    `json:"value_length"`           // of the whole, in bytes
	Message     string `json:"message,omitempty"`
	Data        string `json:"data,omitempty"`
	Chain       int    `json:"chain"`
}

// evaluateGuarded returns the verdict or errLate, also when whoever asked has gone. A panic in the engine affects this question
// only.
func evaluateGuarded(
	application *Application, question *Question, most time.Duration, ended context.Context,
) (evaluation *Evaluation, err error) {
	defer func() {
		if what := recover(); what != nil {
			evaluation, err = nil, panicError(what)
		}
	}()
	began := time.Now()
	transaction := application.waf.NewTransactionWithID("evaluate")
	defer func() { _ = transaction.Close() }()
	limitWork(transaction, most)
	endWith(transaction, ended)
	request, err := judgeRequest(transaction, question.Request.message())
	if err != nil {
		return nil, err
	}
	evaluation = &Evaluation{Application: application.Config.Name, Verdict: request.name(), Score: request.Score, RuleIDs: request.RuleIDs}
	evaluation.stopped(request.Interruption, "request")
	if question.Response != nil && request.Interruption == nil {
		response, err := judgeResponse(transaction, question.Response.message())
		if err != nil {
			return nil, err
		}
		evaluation.Verdict, evaluation.Score, evaluation.RuleIDs = response.name(), response.Score, response.RuleIDs
		evaluation.stopped(response.Interruption, "response")
	}
	logQuietly(transaction)
	evaluation.Seconds.Inspect = time.Since(began).Seconds()
	evaluation.explain(transaction)
	return evaluation, nil
}

func (e *Evaluation) stopped(interruption *types.Interruption, on string) {
	if interruption != nil {
		e.Status = interruption.Status
		e.Interruption = &Stopped{interruption.Action, interruption.Status, interruption.RuleID, interruption.Data, on}
	}
}

func (e *Evaluation) explain(transaction types.Transaction) {
	if state, ok := transaction.(plugintypes.TransactionState); ok {
		e.Scores = scores(state.Variables().TX())
	}
	if e.RuleIDs == nil {
		e.RuleIDs = []string{} // a list in JSON, not null
	}
	e.Rules = []EvaluatedRule{}
	for _, matched := range transaction.MatchedRules() {
		e.Rules = append(e.Rules, explained(matched))
	}
}

func explained(matched types.MatchedRule) EvaluatedRule {
	rule := EvaluatedRule{
		RuleFacts: facts(matched.Rule()), Data: readable(matched.Data()), Counted: counts(matched),
		Disruptive: matched.Disruptive(), Matches: []EvaluatedMatch{},
	}
	rule.Message = readable(matched.Message())
	for _, data := range matched.MatchedDatas() {
		if data.Variable() != corazavars.Unknown { // a SecAction's, which inspects nothing
			rule.Matches = append(rule.Matches, explainedMatch(data))
		}
	}
	return rule
}

func explainedMatch(data types.MatchData) EvaluatedMatch {
	value := data.Value()
	match := EvaluatedMatch{
		Variable: data.Variable().Name(), Key: readable(data.Key()), ValueLength: len(value), Chain: data.ChainLevel(),
		Message: readable(data.Message()), Data: readable(data.Data()),
	}
	if len(value) > shownValue {
		value = value[:shownValue]
	}
	match.Value = readable(value)
	if !utf8.ValidString(value) {
		match.ValueBase64 = base64.StdEncoding.EncodeToString([]byte(value))
	}
	return match
}

func readable(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// Scores are CRS's counters after the last phase. Unset ones are omitted.
type Scores struct {
	Inbound  Score          `json:"inbound"`
	Outbound Score          `json:"outbound"`
	Attacks  map[string]int `json:"attacks"` // by kind: sql_injection, xss …
}

// Score is one direction's score: blocking and detected points, the threshold, and points by paranoia level "1" to "4".
type Score struct {
	Blocking       int            `json:"blocking"`
	Detection      int            `json:"detection"`
	Threshold      int            `json:"threshold"`
	ParanoiaLevels map[string]int `json:"paranoia_levels"`
}

// attackKinds are CRS's score variables by kind (see RESPONSE-980-CORRELATION.conf).
var attackKinds = []string{
	"http_violation", "lfi", "php_injection", "rce", "rfi", "session_fixation", "sql_injection", "xss",
}

// txVariables is the interface of Coraza's TX collection from which scores are read.
type txVariables interface{ Get(key string) []string }

func scores(tx txVariables) Scores {
	read := Scores{Inbound: score(tx, "inbound"), Outbound: score(tx, "outbound"), Attacks: map[string]int{}}
	for _, kind := range attackKinds {
		if value, found := number(tx, kind+"_score"); found {
			read.Attacks[kind] = value
		}
	}
	return read
}

func score(tx txVariables, direction string) Score {
	read := Score{ParanoiaLevels: map[string]int{}}
	read.Blocking, _ = number(tx, "blocking_"+direction+"_anomaly_score")
	read.Detection, _ = number(tx, "detection_"+direction+"_anomaly_score")
	read.Threshold, _ = number(tx, direction+"_anomaly_score_threshold")
	for level := range 4 {
		name := strconv.Itoa(level + 1)
		if value, found := number(tx, direction+"_anomaly_score_pl"+name); found {
			read.ParanoiaLevels[name] = value
		}
	}
	return read
}

func number(tx txVariables, key string) (int, bool) {
	values := tx.Get(key)
	if len(values) == 0 {
		return 0, false
	}
	value, err := strconv.Atoi(values[0])
	return value, err == nil
}

// logQuietly runs the rules of the last phase without the audit log, so that an evaluation leaves no trace. Coraza can
// only switch it off per transaction by a rule's ctl, so its field is set.
func logQuietly(transaction types.Transaction) {
	field := reflect.Indirect(reflect.ValueOf(transaction)).FieldByName("AuditEngine")
	if field.IsValid() && field.CanSet() {
		field.SetInt(int64(types.AuditEngineOff))
		transaction.ProcessLogging()
	}
}
