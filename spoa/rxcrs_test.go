package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// strictest is the rule set with every rule at work, and none that ends a request early.
var strictest = sync.OnceValue(func() string {
	levels := `SecAction "id:100001,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=4,setvar:tx.detection_paranoia_level=4"`
	return strings.NewReplacer("SecRuleEngine On", "SecRuleEngine DetectionOnly",
		"Include @owasp_crs", levels+"\nInclude @owasp_crs").Replace(crs())
})

// crsRequests are the requests of CRS's own tests.
func crsRequests(t testing.TB) []Message {
	t.Helper()
	var requests []Message
	for _, one := range crsCases(t, 1) {
		requests = append(requests, one.request.message())
	}
	if len(requests) < 4_000 {
		t.Fatalf("%d requests", len(requests))
	}
	return requests
}

// recording is an `@rx` that notes each pattern and each value that it is asked about.
type recording struct {
	patterns map[string]bool
	values   map[string]bool
}

type recorder struct {
	plugintypes.Operator
	into *recording
}

func (r recorder) Evaluate(transaction plugintypes.TransactionState, value string) bool {
	r.into.values[strings.Clone(value)] = true
	return r.Operator.Evaluate(transaction, value)
}

// record compiles the rule set with a recording operator; `judge` then has it asked. The values are those that rules see:
// decoded, transformed, of every variable.
func record(t testing.TB) (into *recording, application *Application) {
	t.Helper()
	into = &recording{map[string]bool{}, map[string]bool{}}
	plugins.RegisterOperator("rx", func(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		into.patterns[options.Arguments] = true
		own, err := newRX(options)
		return recorder{own, into}, err
	})
	defer plugins.RegisterOperator("rx", newRX)
	application, err := compile(ApplicationConfig{Name: "recorded", Directives: strictest()})
	if err != nil {
		t.Fatal(err)
	}
	return into, application
}

func ask(t testing.TB, application *Application, message Message) {
	t.Helper()
	application.enter()
	if _, err := inspectRequest(application, message, time.Time{}); err != nil {
		t.Fatal(err)
	}
}
