package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
)

// errNoRequest: a response whose request is unknown, or no longer known.
var errNoRequest = errors.New("no transaction for this response")

// Verdict is what HAProxy is told.
type Verdict struct {
	ID           string
	Interruption *types.Interruption
	Score        int
	RuleIDs      []string
}

// inspectRequest judges a request. The transaction is kept for its response if the application inspects responses.
func inspectRequest(application *Application, message Message, deadline time.Time) (verdict Verdict, err error) {
	kept := false
	// A separate defer: the application is released even if creating or ending the transaction panics.
	defer func() {
		if !kept {
			application.leave()
		}
	}()
	transaction := application.waf.NewTransactionWithID(message.ID)
	defer func() {
		if !kept {
			finish(transaction)
		}
	}()
	limit(transaction, deadline)
	verdict, err = judgeRequest(transaction, message)
	if err != nil {
		return verdict, err
	}
	application.countUses(message, transaction.MatchedRules())
	seen := observed{message: message, bytes: len(message.Body), verdict: verdict}
	if application.waiting != nil && verdict.Interruption == nil {
		kept = true
		application.waiting.keep(transaction.ID(), transaction, seen)
	} else {
		application.observe(transaction, seen, "request")
	}
	return verdict, nil
}

// judgeRequest is the only path to a request's verdict, for HAProxy and for `evaluate`.
func judgeRequest(transaction types.Transaction, message Message) (Verdict, error) {
	interruption, err := processRequest(transaction, message)
	if err != nil {
		return Verdict{}, err
	}
	return judge(transaction, interruption, "blocking_inbound_anomaly_score"), nil
}

func processRequest(transaction types.Transaction, message Message) (*types.Interruption, error) {
	transaction.ProcessConnection(
		message.SourceAddress.String(), message.SourcePort, message.TargetAddress.String(), message.TargetPort,
	)
	transaction.ProcessURI(target(message), message.Method, "HTTP/"+message.Version)
	eachHeader(message.Headers, func(name, value string) {
		transaction.AddRequestHeader(name, value)
		if strings.EqualFold(name, "host") {
			transaction.SetServerName(value)
		}
	})
	if state, ok := transaction.(plugintypes.TransactionState); ok {
		keepApart(state.Variables().RequestCookies())
	}
	if interruption := transaction.ProcessRequestHeaders(); interruption != nil {
		return interruption, nil
	}
	if state, ok := transaction.(plugintypes.TransactionState); ok && message.Partial {
		state.Variables().TX().Set(partialBody, []string{"1"})
		message.Body = withoutCutLetter(message.Body)
	}
	if len(message.Body) > 0 {
		interruption, _, err := transaction.WriteRequestBody(message.Body)
		if interruption != nil || err != nil {
			return interruption, err
		}
	}
	return transaction.ProcessRequestBody()
}

// target is what the request line had. HAProxy sends no path of `OPTIONS *`.
func target(message Message) string {
	if message.Path == "" && message.Method == "OPTIONS" {
		return "*"
	}
	if message.Query != "" {
		return message.Path + "?" + message.Query
	}
	return message.Path
}

// inspectResponse judges a response with its request's transaction.
func inspectResponse(application *Application, message Message, deadline time.Time) (Verdict, error) {
	defer application.leave()
	if application.waiting == nil {
		return Verdict{}, errNoRequest
	}
	request, found := application.waiting.take(message.ID)
	if !found {
		return Verdict{}, errNoRequest
	}
	transaction := request.transaction
	defer application.leave() // the reference that the request left with the waiting transaction
	defer finish(transaction)
	request.answer = message.Status
	limit(transaction, deadline)
	verdict, err := judgeResponse(transaction, message)
	if err != nil {
		application.observe(transaction, request.observed, "request")
		return Verdict{}, err
	}
	request.verdict = verdict
	application.observe(transaction, request.observed, "response")
	return verdict, nil
}

// judgeResponse is the only path to a response's verdict. The transaction is its request's.
func judgeResponse(transaction types.Transaction, message Message) (Verdict, error) {
	interruption, err := processResponse(transaction, message)
	if err != nil {
		return Verdict{}, err
	}
	return judge(transaction, interruption, "blocking_outbound_anomaly_score"), nil
}

func processResponse(transaction types.Transaction, message Message) (*types.Interruption, error) {
	eachHeader(message.Headers, transaction.AddResponseHeader)
	if interruption := transaction.ProcessResponseHeaders(message.Status, "HTTP/"+message.Version); interruption != nil {
		return interruption, nil
	}
	if transaction.IsResponseBodyAccessible() && transaction.IsResponseBodyProcessable() && len(message.Body) > 0 {
		interruption, _, err := transaction.WriteResponseBody(message.Body)
		if interruption != nil || err != nil {
			return interruption, err
		}
	}
	return transaction.ProcessResponseBody()
}

// name is the verdict in one word.
func (v Verdict) name() string {
	switch {
	case v.Interruption != nil:
		return "blocked"
	case len(v.RuleIDs) > 0:
		return "detected"
	}
	return "pass"
}

func judge(transaction types.Transaction, interruption *types.Interruption, score string) Verdict {
	verdict := Verdict{ID: transaction.ID(), Interruption: interruption, RuleIDs: exported(transaction.MatchedRules())}
	if state, ok := transaction.(plugintypes.TransactionState); ok {
		if values := state.Variables().TX().Get(score); len(values) > 0 {
			verdict.Score, _ = strconv.Atoi(values[0])
		}
	}
	return verdict
}

// exported are the ids of matching rules that count.
func exported(matched []types.MatchedRule) []string {
	var ids []string
	for _, rule := range matched {
		if counts(rule) {
			ids = append(ids, strconv.Itoa(rule.Rule().ID()))
		}
	}
	return ids
}

// counts distinguishes a detection from a control rule: it has a message, and is a rule of CRS, guardpanel, an
// operator, or one that Coraza recommends, which reports what it could not read.
func counts(rule types.MatchedRule) bool {
	id := rule.Rule().ID()
	ours := id >= 190_000 && id < 201_000 || id >= 910_000 && id < 960_000 || id >= 9_000_000 && id < 9_100_000
	return ours && rule.Message() != ""
}

func finish(transaction types.Transaction) {
	limit(transaction, time.Time{})
	transaction.ProcessLogging()
	_ = transaction.Close()
}
