package main

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"unsafe"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/macro"
	"github.com/corazawaf/coraza/v3/types"
	corazavars "github.com/corazawaf/coraza/v3/types/variables"
)

// RuleFacts is what a rule says of itself.
type RuleFacts struct {
	ID            int      `json:"id"`
	File          string   `json:"file"`
	Phase         int      `json:"phase"`
	Severity      string   `json:"severity"`
	Tags          []string `json:"tags"`
	ParanoiaLevel string   `json:"paranoia_level,omitempty"`
	Message       string   `json:"message"`
}

// Rule is a rule as the engine holds it: after all removals and updates of targets.
type Rule struct {
	RuleFacts
	Link
	Chain []Link `json:"chain"` // the further links, in order
}

// Link is one test: an operator on targets. A SecAction has none. Targets are written as in SecLang: `ARGS`, `&ARGS`,
// `REQUEST_HEADERS:user-agent`, and exceptions with a `!`.
type Link struct {
	Operator string   `json:"operator"`
	Targets  []string `json:"targets"`
}

// rules answers GET /v1/rules?application=NAME.
func (a *Agent) rules(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("application")
	application, found := a.applications.named(name)
	if !found {
		refuse(w, http.StatusNotFound, "application not found")
		return
	}
	defer application.leave()
	rules, err := rulesOf(application.waf)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{"application": name, "rules": rules})
}

func facts(rule types.RuleMetadata) RuleFacts {
	read := RuleFacts{
		ID: rule.ID(), File: rule.File(), Phase: int(rule.Phase()), Severity: rule.Severity().String(), Tags: rule.Tags(),
	}
	if read.Tags == nil {
		read.Tags = []string{} // a list in JSON, not null
	}
	read.ParanoiaLevel = paranoiaLevel(read.Tags)
	return read
}

// rulesOf reads Coraza's own list by reflection. Its rule observer is told of a rule before the links of its chain are
// there, and never of removals (SecRuleRemoveById) or changed targets, so what it gives is not what runs.
func rulesOf(waf coraza.WAF) (rules []Rule, err error) {
	defer func() {
		if what := recover(); what != nil {
			rules, err = nil, fmt.Errorf("this version of Coraza stores its rules differently: %v", what)
		}
	}()
	wrapper := reflect.New(reflect.TypeOf(waf)).Elem() // a copy that can be addressed
	wrapper.Set(reflect.ValueOf(waf))
	list := wrapper.FieldByName("waf").Elem().FieldByName("Rules").FieldByName("rules")
	rules = []Rule{}
	for at := range list.Len() {
		if rule := opened(list.Index(at)); rule.FieldByName("SecMark_").String() == "" {
			rules = append(rules, ruleOf(rule))
		}
	}
	return rules, nil
}

// opened is a value that can be read although the field it was found in is private.
func opened(found reflect.Value) reflect.Value {
	return reflect.NewAt(found.Type(), unsafe.Pointer(found.UnsafeAddr())).Elem()
}

func ruleOf(held reflect.Value) Rule {
	rule := Rule{RuleFacts: facts(held.Addr().Interface().(types.RuleMetadata)), Link: linkOf(held), Chain: []Link{}}
	if message, ok := held.FieldByName("Msg").Interface().(macro.Macro); ok {
		rule.Message = message.String()
	}
	for next := held.FieldByName("Chain"); !next.IsNil(); next = next.Elem().FieldByName("Chain") {
		rule.Chain = append(rule.Chain, linkOf(next.Elem()))
	}
	return rule
}

func linkOf(held reflect.Value) Link {
	link := Link{Targets: []string{}}
	if operator := held.FieldByName("operator"); !operator.IsNil() {
		name, argument := operator.Elem().FieldByName("Function").String(), operator.Elem().FieldByName("Data").String()
		link.Operator = strings.TrimSpace(name + " " + argument)
	}
	targets := held.FieldByName("variables")
	for at := range targets.Len() {
		link.Targets = append(link.Targets, targetsOf(targets.Index(at))...)
	}
	return link
}

// targetsOf is one variable of a rule with its exceptions.
func targetsOf(target reflect.Value) []string {
	variable := corazavars.RuleVariable(target.FieldByName("Variable").Uint()).Name()
	name := withKey(variable, target.FieldByName("KeyStr").String())
	if target.FieldByName("Count").Bool() {
		name = "&" + name
	}
	names := []string{name}
	exceptions := target.FieldByName("Exceptions")
	for at := range exceptions.Len() {
		names = append(names, "!"+withKey(variable, exceptions.Index(at).FieldByName("KeyStr").String()))
	}
	return names
}

func withKey(variable, key string) string {
	if key == "" {
		return variable
	}
	return variable + ":" + key
}
