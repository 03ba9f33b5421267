package main

import (
	"fmt"
	"strings"
	"testing"
)

// What exclusions really do in the Coraza that the agent is built with; docs/exclusions.md says it in words. One benign
// POST with /etc/passwd and <script> in the field `content` fires six rules.
const (
	excludedRules = "930120,932160,941100,941110,941160,941390"
	excludedPath  = "/wp-json/posts"
	benignBody    = "title=hi&content=see+%2Fetc%2Fpasswd+and+%3Cscript%3Ealert(1)%3C%2Fscript%3E"
	form          = "application/x-www-form-urlencoded"
)

// tuned is the rule set in detection only with directives before and after it.
func tuned(before, after string) string {
	text := strings.Replace(crs(), "SecRuleEngine On", "SecRuleEngine DetectionOnly", 1)
	return strings.Replace(text, "Include @owasp_crs/*.conf", before+"\nInclude @owasp_crs/*.conf", 1) + after + "\n"
}

// actions is the same action for each of the six rules.
func actions(format string) string {
	var all []string
	for id := range strings.SplitSeq(excludedRules, ",") {
		all = append(all, fmt.Sprintf(format, id))
	}
	return strings.Join(all, ",")
}

// lines is the same directive for each of the six rules.
func lines(format string) string {
	var all []string
	for id := range strings.SplitSeq(excludedRules, ",") {
		all = append(all, fmt.Sprintf(format, id))
	}
	return strings.Join(all, "\n")
}

const (
	onPath = `SecRule REQUEST_FILENAME "@streq ` + excludedPath + `" "id:100200,phase:%d,pass,t:none,nolog,chain"` + "\n"
	onPost = `SecRule REQUEST_METHOD "@streq POST" "t:none,%s"`
)

// exact is the one form that excludes what was asked and nothing else: the action on the last link.
func exact(phase int, do string) string { return fmt.Sprintf(onPath, phase) + fmt.Sprintf(onPost, do) }

// everywhere does it without a condition.
func everywhere(do string) string {
	return fmt.Sprintf(`SecAction "id:100200,phase:1,pass,nolog,t:none,%s"`, do)
}

// visits are the columns of the table in docs/exclusions.md.
var visits = []struct {
	name    string
	request *QuestionRequest
}{
	{"the benign POST", post(excludedPath, form, benignBody)},
	{"GET of the same path", get(excludedPath + "?content=/etc/passwd")},
	{"another field", post(excludedPath, form, "title=/etc/passwd")},
	{"another path", post("/login", form, benignBody)},
	{"a longer path", post(excludedPath+"-x", form, benignBody)},
	{"up and over", post(excludedPath+"/../../login", form, benignBody)},
	{"the path in other letters", post("/wp-json/%70osts", form, benignBody)},
}

func TestExclusionsDoWhatTheDocumentationSays(t *testing.T) {
	field, whole := "ctl:ruleRemoveTargetById=%s;ARGS:content", "ctl:ruleRemoveById=%s"
	begins := `SecRule REQUEST_URI "@beginsWith ` + excludedPath + `" "id:100200,phase:1,pass,t:none,nolog,%s"`
	starter := strings.Replace(fmt.Sprintf(onPath, 1), "chain", actions(field)+",chain", 1) + `SecRule REQUEST_METHOD "@streq POST" "t:none"`
	for _, one := range []struct {
		name          string
		before, after string
		scores        []int
	}{
		{"none", "", "", []int{30, 10, 10, 30, 30, 40, 30}},
		{"A: path and method, on the last link", exact(1, actions(field)), "", []int{0, 10, 10, 30, 30, 40, 0}},
		{"B: on the first link", starter, "", []int{0, 0, 10, 30, 30, 40, 0}},
		{"C: the address begins with", fmt.Sprintf(begins, actions(field)), "", []int{0, 0, 10, 30, 0, 10, 30}},
		{"D: whole rules", fmt.Sprintf(begins, actions(whole)), "", []int{0, 0, 0, 30, 0, 10, 30}},
		{"E: targets for all paths", "", lines(`SecRuleUpdateTargetById %s "!ARGS:content"`), []int{0, 0, 10, 0, 0, 10, 0}},
		{"F: rules for all paths", "", lines("SecRuleRemoveById %s"), []int{0, 0, 0, 0, 0, 10, 0}},
		{"G: rules that are not there yet (1)", lines("SecRuleRemoveById %s"), "", []int{30, 10, 10, 30, 30, 40, 30}},
		{"H: too late (2)", "", exact(2, actions(field)), []int{30, 10, 10, 30, 30, 40, 30}},
		{"H, but phase 1", "", exact(1, actions(field)), []int{0, 10, 10, 30, 30, 40, 0}},
		{"4: another collection", exact(1, actions("ctl:ruleRemoveTargetById=%s;ARGS_POST:content")), "", []int{30, 10, 10, 30, 30, 40, 30}},
		{"7: a pattern that does not end", exact(1, actions("ctl:ruleRemoveTargetById=%s;ARGS:/content")), "", []int{30, 10, 10, 30, 30, 40, 30}},
		{"8: a rule that does not exist", exact(1, "ctl:ruleRemoveTargetById=999999;ARGS:content"), "", []int{30, 10, 10, 30, 30, 40, 30}},
		{"a tag", exact(1, "ctl:ruleRemoveTargetByTag=attack-xss;ARGS:content"), "", []int{10, 10, 10, 30, 30, 40, 10}},
		{"a range", exact(1, "ctl:ruleRemoveTargetById=941000-941999;ARGS:content"), "", []int{10, 10, 10, 30, 30, 40, 10}},
		{"keys in other letters", exact(1, actions("ctl:ruleRemoveTargetById=%s;ARGS:CONTENT")), "", []int{0, 10, 10, 30, 30, 40, 0}},
		{"the blocking rule is gone: scored, never denied", "", "SecRuleRemoveById 949110", []int{30, 10, 10, 30, 30, 40, 30}},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			application := compiledFor(t, tuned(one.before, one.after))
			for at, visit := range visits {
				if score := inboundScore(t, application, visit.request); score != one.scores[at] {
					t.Errorf("%s scores %d, not %d", visit.name, score, one.scores[at])
				}
			}
		})
	}
}

func TestChainsAreExcludedFrom(t *testing.T) {
	fixation := get("/login?PHPSESSID=abc")
	fixation.Headers = append(fixation.Headers, [2]string{"referer", "https://evil.example/x"})
	for _, one := range []struct {
		name          string
		before, after string
		score         int
	}{
		{"nothing", "", "", 5},
		{"5: a target of a further link", everywhere("ctl:ruleRemoveTargetById=943110;REQUEST_HEADERS:Referer"), "", 0},
		{"5b: a target of the first link", everywhere("ctl:ruleRemoveTargetById=943110;ARGS_NAMES:PHPSESSID"), "", 0},
		{"6: a target of a further link, changed for good", "", `SecRuleUpdateTargetById 943110 "!REQUEST_HEADERS:Referer"`, 5},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			if score := inboundScore(t, compiledFor(t, tuned(one.before, one.after)), fixation); score != one.score {
				t.Errorf("the score is %d, not %d", score, one.score)
			}
		})
	}
}

func TestFieldsOfJSONAreExcluded(t *testing.T) {
	items := post("/", "application/json", `{"items":[{"text":"/etc/passwd"},{"text":"/etc/passwd"}]}`)
	other := post("/", "application/json", `{"items":[{"name":"/etc/passwd"}]}`)
	both := func(key string) string {
		return everywhere("ctl:ruleRemoveTargetById=930120;ARGS:" + key + ",ctl:ruleRemoveTargetById=932160;ARGS:" + key)
	}
	for _, one := range []struct {
		name, before  string
		items, others int
	}{
		{"nothing", "", 20, 10},
		{"a pattern for every element", both(`/^json\.items\.\d+\.text$/`), 0, 10},
		{"one element", both("json.items.0.text"), 10, 10},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			application := compiledFor(t, tuned(one.before, ""))
			if score := inboundScore(t, application, items); score != one.items {
				t.Errorf("the items score %d, not %d", score, one.items)
			}
			if score := inboundScore(t, application, other); score != one.others {
				t.Errorf("another field scores %d, not %d", score, one.others)
			}
		})
	}
}

func TestWithoutTheBlockingRuleNothingIsDenied(t *testing.T) {
	blocking := strings.Replace(tuned("", "SecRuleRemoveById 949110"), "DetectionOnly", "On", 1)

	evaluation := evaluation(t, compiledFor(t, blocking), post(excludedPath, form, benignBody))

	if evaluation.Scores.Inbound.Blocking != 30 || evaluation.Verdict != "detected" {
		t.Errorf("%s with a score of %d", evaluation.Verdict, evaluation.Scores.Inbound.Blocking)
	}
}

func TestLoudMistakesAreRefused(t *testing.T) {
	for name, one := range map[string]struct{ before, after string }{
		"a misspelt action":               {everywhere("ctl:RemoveTargetById=941100;ARGS:content"), ""},
		"a bad pattern":                   {everywhere("ctl:ruleRemoveTargetById=941100;ARGS:/(/"), ""},
		"an id that is taken":             {everywhere("ctl:ruleRemoveById=1"), everywhere("ctl:ruleRemoveById=2")},
		"targets of a rule not yet there": {`SecRuleUpdateTargetById 941100 "!ARGS:content"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if application, err := compile(ApplicationConfig{Directives: tuned(one.before, one.after)}); err == nil {
				application.retire()
				t.Error("it was accepted")
			}
		})
	}
}

func compiledFor(t *testing.T, directives string) *Application {
	t.Helper()
	application, err := compile(ApplicationConfig{Directives: directives})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(application.retire)
	return application
}

func evaluation(t *testing.T, application *Application, request *QuestionRequest) *Evaluation {
	t.Helper()
	evaluation, err := evaluateGuarded(application, &Question{Request: request}, evaluationTime, nil)
	if err != nil {
		t.Fatal(err)
	}
	return evaluation
}

func inboundScore(t *testing.T, application *Application, request *QuestionRequest) int {
	t.Helper()
	return evaluation(t, application, request).Scores.Inbound.Blocking
}
