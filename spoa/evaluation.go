package main

import (
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

// shownValue is how much of a matched value is shown, in bytes; a body may be the value of one variable.
const shownValue = 8 << 10

// Evaluation is the answer to a Question: what the live path would have said, and why.
type Evaluation struct {
	Application  string            `json:"application,omitempty"`
	Verdict      string            `json:"verdict"` // pass, detected, blocked
	Status       int               `json:"status,omitempty"`
	Interruption *Stopped          `json:"interruption"`
	Score        int               `json:"anomaly_score"` // as HAProxy is told: the response's if that was judged
	Scores       Scores            `json:"scores"`
	RuleIDs      []string          `json:"rule_ids"`
	Rules        []EvaluatedRule   `json:"rules"`
	Seconds      EvaluationSeconds `json:"seconds"`
}

// EvaluationSeconds is what it took; compiling only where directives were asked about.
type EvaluationSeconds struct {
	Compile float64 `json:"compile,omitempty"`
	Inspect float64 `json:"inspect"`
}

// Stopped is the rule that ended the request or the response, and how. Data is where a redirect leads.
type Stopped struct {
	Action string `json:"action"`
	Status int    `json:"status"`
	RuleID int    `json:"rule_id"`
	Data   string `json:"data,omitempty"`
	On     string `json:"on"` // request or response
}

// EvaluatedRule is one rule that matched, control rules too. Counted are those that the live path reports.
type EvaluatedRule struct {
	RuleFacts
	Data       string           `json:"data"`
	Counted    bool             `json:"counted"`
	Disruptive bool             `json:"disruptive"`
	Matches    []EvaluatedMatch `json:"matches"`
}

// EvaluatedMatch is one variable that a rule, or the given link of its chain (0 is the rule itself), matched. The value is what
// the operator saw, after transformations.
type EvaluatedMatch struct {
	Variable    string `json:"variable"`
	Key         string `json:"key,omitempty"`
	Value       string `json:"value"`
	ValueBase64 string `json:"value_base64,omitempty"` // where the bytes are not valid UTF-8
	ValueLength int    `json:"value_length"`           // of the whole, in bytes
	Message     string `json:"message,omitempty"`
	Data        string `json:"data,omitempty"`
	Chain       int    `json:"chain"`
}

// evaluateGuarded gives the verdict, or errLate; panic in the engine costs this question alone. What has all the time until
// its deadline gives way to visitors' requests; nil if it does not.
func evaluateGuarded(
	application *Application, question *Question, deadline time.Time, toVisitors func() error,
) (evaluation *Evaluation, err error) {
	defer func() {
		if what := recover(); what != nil {
			evaluation, err = nil, panicError(what)
		}
	}()
	began := time.Now()
	transaction := application.waf.NewTransactionWithID("evaluate")
	defer func() { _ = transaction.Close() }()
	limit(transaction, deadline)
	giveWay(transaction, toVisitors)
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
		if data.Variable() != corazavars.Unknown { // that of a SecAction, which looks at nothing
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

// Scores are CRS's counters after the last phase; what is not set is left out.
type Scores struct {
	Inbound  Score          `json:"inbound"`
	Outbound Score          `json:"outbound"`
	Attacks  map[string]int `json:"attacks"` // by kind: sql_injection, xss …
}

// Score is one direction's: what blocks and what is only detected, the threshold, and by paranoia level "1" to "4".
type Score struct {
	Blocking       int            `json:"blocking"`
	Detection      int            `json:"detection"`
	Threshold      int            `json:"threshold"`
	ParanoiaLevels map[string]int `json:"paranoia_levels"`
}

// attackKinds are CRS's score variables by kind (RESPONSE-980-CORRELATION.conf names them).
var attackKinds = []string{
	"http_violation", "lfi", "php_injection", "rce", "rfi", "session_fixation", "sql_injection", "xss",
}

// txVariables is the part of Coraza's TX collection that scores are read from.
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

// logQuietly runs the rules of the last phase without the audit log: an evaluation leaves no trace. Coraza has no switch
// for one transaction but the rules' own ctl, so its field is set.
func logQuietly(transaction types.Transaction) {
	field := reflect.Indirect(reflect.ValueOf(transaction)).FieldByName("AuditEngine")
	if field.IsValid() && field.CanSet() {
		field.SetInt(int64(types.AuditEngineOff))
		transaction.ProcessLogging()
	}
}
