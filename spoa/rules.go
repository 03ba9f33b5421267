package main

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"unsafe"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/macro"
	"github.com/corazawaf/coraza/v3/types"
	corazavars "github.com/corazawaf/coraza/v3/types/variables"
)

// RuleFacts is a rule's metadata.
type RuleFacts struct {
	ID            int      `json:"id"`
	File          string   `json:"file"`
	Phase         int      `json:"phase"`
	Severity      string   `json:"severity"`
	Tags          []string `json:"tags"`
	ParanoiaLevel string   `json:"paranoia_level,omitempty"`
	Message       string   `json:"message"`
}

// Rule is a rule as loaded by the engine: after all removals and target updates.
type Rule struct {
	RuleFacts
	Link
	Chain []Link `json:"chain"` // the further links, in order

	raw string // as Coraza keeps it: a link a line
}

// Link is a test: an operator on targets. A SecAction has none. Targets are written as in SecLang: `ARGS`, `&ARGS`,
// `REQUEST_HEADERS:user-agent`, and exceptions with a `!`.
type Link struct {
	Operator        string   `json:"operator"`
	Targets         []string `json:"targets"`
	Transformations []string `json:"transformations"` // in order, without those before the last `none`

	// Phrases are those of a @pmFromFile, at most mostPhrases of PhraseCount. Only in the catalogue.
	Phrases     []string `json:"phrases,omitempty"`
	PhraseCount int      `json:"phrase_count,omitempty"`

	sets    []assignment
	actions map[string]bool // by name, in lower case
}

// assignment is a setvar on TX: its key in lower case, and the unexpanded value.
type assignment struct{ key, value string }

// rules answers GET /v1/rules?application=NAME and, without a name, returns the catalogue.
func (a *Agent) rules(w http.ResponseWriter, r *http.Request) {
	if !r.URL.Query().Has("application") {
		a.catalogue(w, r)
		return
	}
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

// rulesOf reads Coraza's list by reflection. Its rule observer is called before a rule's chained links exist, and never
// for removals (SecRuleRemoveById) or changed targets, so it does not see what runs.
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

// opened makes the value of a private field readable.
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
	rule.raw = held.Addr().Interface().(types.RuleMetadata).Raw()
	return rule
}

func linkOf(held reflect.Value) Link {
	link := Link{Targets: []string{}, Transformations: transformationsOf(held), actions: map[string]bool{}}
	if operator := held.FieldByName("operator"); !operator.IsNil() {
		name, argument := operator.Elem().FieldByName("Function").String(), operator.Elem().FieldByName("Data").String()
		link.Operator = strings.TrimSpace(name + " " + argument)
	}
	targets := held.FieldByName("variables")
	for at := range targets.Len() {
		link.Targets = append(link.Targets, targetsOf(targets.Index(at))...)
	}
	actions := held.FieldByName("actions")
	for at := range actions.Len() {
		link.actions[strings.ToLower(actions.Index(at).FieldByName("Name").String())] = true
		if set, ok := assignmentOf(opened(actions.Index(at).FieldByName("Function")).Elem().Elem()); ok {
			link.sets = append(link.sets, set)
		}
	}
	return link
}

// assignmentOf parses Coraza's setvar. False for other actions.
func assignmentOf(action reflect.Value) (assignment, bool) {
	if action.Kind() != reflect.Struct || !action.FieldByName("isRemove").IsValid() {
		return assignment{}, false
	}
	key, _ := opened(action.FieldByName("key")).Interface().(macro.Macro)
	value, _ := opened(action.FieldByName("value")).Interface().(macro.Macro)
	if key == nil || value == nil {
		return assignment{}, false // a variable without a value, or taken away
	}
	return assignment{strings.ToLower(key.String()), value.String()}, true
}

// functionNames are Coraza's transformations whose function has another name than in SecLang.
var functionNames = map[string]string{
	"base64decode": "base64Decode", "base64decodeext": "base64DecodeExt", "base64encode": "base64Encode", "lowerCase": "lowercase",
	"md5T": "md5", "normalisePath": "normalizePath", "normalisePathWin": "normalizePathWin", "sha1T": "sha1", "upperCase": "uppercase",
	"utf8ToUnicode": "utf8toUnicode",
}

// transformationsOf returns their names: Coraza keeps only functions.
func transformationsOf(held reflect.Value) []string {
	names := []string{}
	list := held.FieldByName("transformations")
	for at := range list.Len() {
		name := runtime.FuncForPC(list.Index(at).FieldByName("Function").Pointer()).Name()
		name = name[strings.LastIndexByte(name, '.')+1:]
		names = append(names, cmp.Or(functionNames[name], name))
	}
	return names
}

// targetsOf returns a variable of a rule with its exceptions.
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
