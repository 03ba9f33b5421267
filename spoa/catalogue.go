package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// ruleSet lists the files of the catalogue, which every application includes.
var ruleSet = []string{recommendedName, "@owasp_crs/*.conf"}

// What a rule is for.
const (
	roleDetect   = "detect"   // it adds to a score, or blocks the request itself
	roleEvaluate = "evaluate" // it sums scores up, and blocks over a threshold
	roleReport   = "report"   // it logs scores
	roleSkip     = "skip"     // it skips the rules that follow
	rolePrepare  = "prepare"  // it sets or reads what other rules need
)

// Catalogue is the rule set of this agent, before any application changes it.
type Catalogue struct {
	Version       string           `json:"version"`
	CorazaVersion string           `json:"coraza_version"`
	CRSVersion    string           `json:"crs_version"`
	Rules         []CataloguedRule `json:"rules"`
}

// CataloguedRule is a rule with its location, text and purpose. File is a base name, Line its first line.
type CataloguedRule struct {
	Rule
	Line    int    `json:"line"`
	Role    string `json:"role"`
	SecLang string `json:"seclang"`
	// Points is what each matching value adds to the score with CRS's defaults; 0 for nothing.
	Points    int    `json:"points"`
	Direction string `json:"direction,omitempty"` // of the score: inbound or outbound
}

// catalogued is the response to GET /v1/rules, built on the first query: the rule set is part of this binary.
var catalogued = sync.OnceValues(func() (document, error) {
	catalogue, err := readCatalogue()
	if err != nil {
		return document{}, err
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // patterns are full of < and >
	if err := encoder.Encode(catalogue); err != nil {
		return document{}, err
	}
	sum := sha256.Sum256(body.Bytes())
	return document{body.Bytes(), `"` + hex.EncodeToString(sum[:8]) + `"`}, nil
})

// document is a constant response with its ETag.
type document struct {
	body []byte
	tag  string
}

// catalogue answers GET /v1/rules without an application: 304 if the client has it already.
func (a *Agent) catalogue(w http.ResponseWriter, r *http.Request) {
	made, err := catalogued()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("ETag", made.tag)
	if r.Header.Get("If-None-Match") == made.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(made.body)))
	_, _ = w.Write(made.body)
}

func readCatalogue() (*Catalogue, error) {
	read, err := readSources(ruleSet...)
	if err != nil {
		return nil, err
	}
	application, err := compile(ApplicationConfig{Name: "catalogue", Directives: includes(ruleSet)})
	if err != nil {
		return nil, err
	}
	defer application.close()
	rules, err := rulesOf(application.waf)
	if err != nil {
		return nil, err
	}
	catalogue := &Catalogue{Version: version, CorazaVersion: corazaVersion(), CRSVersion: crsVersion()}
	worth := worths(rules)
	for _, rule := range rules {
		one, err := cataloguedAs(rule, read, worth)
		if err != nil {
			return nil, err
		}
		catalogue.Rules = append(catalogue.Rules, one)
	}
	return catalogue, nil
}

func includes(patterns []string) string {
	return "Include " + strings.Join(patterns, "\nInclude ") + "\n"
}

func cataloguedAs(rule Rule, read *sources, worth map[string]int) (CataloguedRule, error) {
	if err := rule.readPhrases(); err != nil {
		return CataloguedRule{}, fmt.Errorf("rule %d: %w", rule.ID, err)
	}
	one := CataloguedRule{Rule: rule}
	one.File, one.Line, one.SecLang = read.written(rule.raw, 1+len(rule.Chain))
	one.Points, one.Direction = points(rule, worth)
	one.Role = role(one)
	return one, nil
}

// worths are the points that rules set if the operator does not: `critical_anomaly_score` 5.
func worths(rules []Rule) map[string]int {
	worth := map[string]int{}
	for _, rule := range rules {
		for _, set := range rule.sets {
			if value, err := strconv.Atoi(set.value); err == nil && strings.HasSuffix(set.key, "_anomaly_score") {
				worth[set.key] = value
			}
		}
	}
	return worth
}

// adds are the scores by paranoia level that 949 and 959 sum up.
var adds = regexp.MustCompile(`^(in|out)bound_anomaly_score_pl[1-4]$`)

// points returns what the rule and the links of its chain add, and to which direction's score.
func points(rule Rule, worth map[string]int) (sum int, direction string) {
	links := append([]Link{rule.Link}, rule.Chain...)
	for _, link := range links {
		for _, set := range link.sets {
			match := adds.FindStringSubmatch(set.key)
			value, isAdded := strings.CutPrefix(set.value, "+")
			if match == nil || !isAdded {
				continue
			}
			name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(value, "%{tx."), "}"))
			sum, direction = sum+worth[name], match[1]+"bound"
		}
	}
	return sum, direction
}

func role(rule CataloguedRule) string {
	switch {
	case rule.Points > 0:
		return roleDetect
	case rule.does("skip", "skipafter"):
		return roleSkip
	case strings.Contains(rule.File, "-BLOCKING-EVALUATION"):
		return roleEvaluate
	case strings.Contains(rule.File, "-CORRELATION"):
		return roleReport
	case rule.does("deny", "drop", "block") && !strings.Contains(rule.File, "-INITIALIZATION"):
		return roleDetect
	}
	return rolePrepare
}

func (l Link) does(actions ...string) bool {
	for _, action := range actions {
		if l.actions[action] {
			return true
		}
	}
	return false
}
