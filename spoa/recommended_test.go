package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// deviations are directives of Coraza's file that ours leaves out, and why.
var deviations = map[string]string{}

// TestTheRecommendationsAreThoseOfTheLinkedCoraza fails when another Coraza recommends more, or something else.
func TestTheRecommendationsAreThoseOfTheLinkedCoraza(t *testing.T) {
	theirs := directivesOf(t, filepath.Join(moduleDirectory(t, "github.com/corazawaf/coraza/v3"), "coraza.conf-recommended"))
	ours := directivesOf(t, "recommended.conf")
	if len(theirs) < 20 {
		t.Fatalf("only %d directives were found in Coraza's file", len(theirs))
	}
	for _, one := range theirs {
		if deviations[one] == "" && !slices.Contains(ours, one) {
			t.Errorf("Coraza recommends this, and recommended.conf lacks it: %s", one)
		}
	}
	for _, one := range ours {
		if !slices.Contains(theirs, one) {
			t.Errorf("recommended.conf has this, and Coraza does not recommend it: %s", one)
		}
	}
}

func TestApplicationsIncludeTheRecommendationsOfTheLinkedCoraza(t *testing.T) {
	agent := start(t, apps(map[string]string{"recommended": "Include @coraza.conf-recommended\nSecRuleEngine On\n"}))
	c := dial(t, agent.socket)

	flood := strings.Repeat("a=1&", 1000)
	expect(t, c.ask(request{app: "recommended", query: flood + "q=1"}), map[string]any{"action": "deny", "status": 400, "ruleid": 200004})
	expect(t, c.ask(request{app: "recommended", query: flood}), map[string]any{"action": nil, "error": nil})
}

func moduleDirectory(t *testing.T, module string) string {
	t.Helper()
	directory, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output() // `go test` puts its own go first on PATH
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(directory))
}

// directivesOf are a file's directives, each on one line, with single spaces.
func directivesOf(t *testing.T, file string) []string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, one := range logicalLines(string(content)) {
		text := strings.ReplaceAll(one.text, "\\\n", " ")
		found = append(found, regexp.MustCompile(`\s+`).ReplaceAllString(text, " "))
	}
	return found
}

// TestWhatIsTooDeepOrTooLongForTheEngineIsAVerdict: what Coraza stops reading at is told, also where nothing is refused.
func TestWhatIsTooDeepOrTooLongForTheEngineIsAVerdict(t *testing.T) {
	detecting := "Include @coraza.conf-recommended\nSecRuleEngine DetectionOnly\n"
	agent := start(t, apps(map[string]string{"block": detecting + "SecRuleEngine On\n", "detect": detecting}))
	c := dial(t, agent.socket)
	deep := strings.Repeat("[", 1025) + strings.Repeat("]", 1025)
	path := strings.Repeat(`{"`+strings.Repeat("a", 500)+`":`, 20)
	long := path + "[" + strings.Repeat("1,", 900) + "1]" + strings.Repeat("}", 20)

	for name, one := range map[string]struct {
		request request
		rule    string
	}{
		"JSON that is nested too deep":      {request{headers: "content-type: application/json\r\n", body: deep}, "200002"},
		"JSON whose names grow too long":    {request{headers: "content-type: application/json\r\n", body: long}, "200002"},
		"an address that cannot be parsed":  {request{query: "a=\x01"}, "200009"},
		"arguments of the address":          {request{query: strings.Repeat("a=1&", 1001)}, "200004"},
		"arguments of a form":               {request{headers: "content-type: application/x-www-form-urlencoded\r\n", body: strings.Repeat("a&", 1001)}, "200005"},
		"values of JSON":                    {request{headers: "content-type: application/json\r\n", body: "[" + strings.Repeat("1,", 1001) + "1]"}, "200005"},
		"lists of lists in JSON, all empty": {request{headers: "content-type: application/json\r\n", body: "[" + strings.Repeat("[],", 1001) + "1]"}, "200005"},
	} {
		one.request.method, one.request.app = "POST", "block"
		expect(t, c.ask(one.request), map[string]any{"action": "deny", "status": 400})
		one.request.app = "detect"
		if rules, _ := c.ask(one.request)["rule_ids"].(string); !strings.Contains(rules, one.rule) {
			t.Errorf("%s, detecting: %v", name, rules)
		}
	}
}
