package main

import (
	"fmt"
	"reflect"
	"sync"
	_ "unsafe" // go:linkname

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// newCorazaRX makes Coraza's own `@rx`, which Coraza does not export. The linker refuses a Coraza that no longer has it.
//
//go:linkname newCorazaRX github.com/corazawaf/coraza/v3/internal/operators.newRX
func newCorazaRX(options plugintypes.OperatorOptions) (plugintypes.Operator, error)

// rx is `@rx` with an automaton in front of Coraza's own operator: the automaton decides whether there is a match, and
// Coraza's own takes captures and handles patterns that are too large for an automaton.
type rx struct {
	own       plugintypes.Operator
	automaton func() *automaton // nil if only Coraza's own can decide
}

func newRX(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
	own, err := newCorazaRX(options)
	if err != nil {
		return nil, err
	}
	pattern, bytewise, known := compiledPattern(own)
	if !known {
		return own, nil
	}
	shared, err := sharedAutomaton(options.Memoizer, pattern, bytewise)
	if err != nil {
		return nil, err
	}
	return &rx{own: own, automaton: shared}, nil
}

// compiledPattern returns the text that Coraza compiles, including flags, and whether it matches bytes instead of
// runes, as Coraza does if escapes in a pattern are not valid UTF-8.
func compiledPattern(own plugintypes.Operator) (pattern string, bytewise, known bool) {
	value := reflect.ValueOf(own)
	switch value.Type().String() {
	case "*operators.rx":
	case "*operators.binaryRX":
		bytewise = true
	default:
		return "", false, false
	}
	expression := value.Elem().FieldByName("re").Elem().FieldByName("expr")
	return expression.String(), bytewise, true
}

// sharedAutomaton is shared by all rules of all applications with the same pattern, and built on first use. Coraza's
// memoizer drops it with the last application that uses it.
func sharedAutomaton(memoizer plugintypes.Memoizer, pattern string, bytewise bool) (func() *automaton, error) {
	lazily := func() (any, error) {
		return sync.OnceValue(func() *automaton { return newAutomaton(pattern, bytewise) }), nil
	}
	shared, err := memoizer.Do(fmt.Sprintf("automaton:%t:%s", bytewise, pattern), lazily)
	if err != nil {
		return nil, err
	}
	return shared.(func() *automaton), nil
}

// Evaluate reports whether the value matches, and captures if the rule wants that.
func (o *rx) Evaluate(transaction plugintypes.TransactionState, value string) bool {
	automaton := o.automaton()
	if automaton == nil {
		return o.own.Evaluate(transaction, value)
	}
	if !automaton.match(value) {
		return false
	}
	return !transaction.Capturing() || o.own.Evaluate(transaction, value)
}
