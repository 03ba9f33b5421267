package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// post returns the status and the body of an answer of the control socket.
func (s *started) post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	answered, err := s.overControl().Post("http://agent"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answered.Body.Close() }()
	text, err := io.ReadAll(answered.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered.StatusCode, string(text)
}

func asJSON(t *testing.T, applications []ApplicationConfig) string {
	t.Helper()
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(map[string]any{"applications": applications}); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func (a *Applications) preparedNames() []string {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	names := []string{}
	for name := range a.prepared {
		names = append(names, name)
	}
	return names
}

func TestWhatTheRunningAgentValidatedIsNotCompiledAgain(t *testing.T) {
	agent := start(t, []ApplicationConfig{{Name: "old", Directives: small}})
	next := []ApplicationConfig{
		{Name: "old", Directives: small},
		{Name: "new", Directives: crs(), ResponseCheck: true, TransactionTTLMS: 1000},
		{Name: "other", Directives: small},
	}
	status, body := agent.post(t, "/v1/validate", asJSON(t, next[1:2]))
	var document validation
	if err := json.Unmarshal([]byte(body), &document); err != nil || status != http.StatusOK || !document.Valid {
		t.Fatal(status, body, err)
	}
	if document.Applications[0].Name != "new" || document.Applications[0].Rules < 300 {
		t.Errorf("%+v", document)
	}
	if _, serves := agent.applications.named("new"); serves {
		t.Error("what was validated serves before a reload")
	}
	ready := agent.applications.prepared["new"].application

	agent.write(t, next)
	if _, problems := agent.reload(); len(problems) > 0 {
		t.Fatal(problems)
	}

	if agent.applications.set["new"] != ready || len(agent.applications.preparedNames()) != 0 {
		t.Error("it was compiled again")
	}
	c := dial(t, agent.socket)
	if got := c.ask(request{app: "new", query: "a=<script>alert(1)</script>"}); got["rules_hit"] == nil {
		t.Errorf("%+v", got)
	}
}

func TestWhatWasPreparedInVainIsClosed(t *testing.T) {
	one := func(name, directives string) []ApplicationConfig {
		return []ApplicationConfig{{Name: name, Directives: directives}}
	}
	for name, then := range map[string]func(*started){
		"another is validated":            func(s *started) { s.post(t, "/v1/validate", asJSON(t, one("b", small))) },
		"a bad one is validated":          func(s *started) { s.post(t, "/v1/validate", asJSON(t, one("b", "SecNonsense On\n"))) },
		"the next reload is without it":   func(s *started) { s.reload() },
		"the next reload has another one": func(s *started) { s.write(t, append(one("a", small+"# x\n"), one("old", small)...)); s.reload() },
		"the agent ends":                  func(s *started) { s.applications.end() },
	} {
		t.Run(name, func(t *testing.T) {
			agent := start(t, one("old", small))
			agent.post(t, "/v1/validate", asJSON(t, one("a", small)))
			before := agent.applications.prepared["a"].application

			then(agent)

			if !before.closed || agent.applications.prepared["a"].application == before || agent.applications.set["a"] == before {
				t.Error("it is still there")
			}
		})
	}
}

func TestTheRunningAgentNamesTheSameProblemsAsANewProcess(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for _, bad := range []string{
		"SecRuleEngine On\n\n# a comment\nSecNonsense On\n",
		crs() + "SecRuleUpdateTargetById 424242 \"!ARGS:x\"\n",
		"SecAction \"id:1,phase:1,pass\"\nSecRuleRemoveByMsg \"x\"\n",
	} {
		applications := []ApplicationConfig{{Name: "good", Directives: small}, {Name: "bad", Directives: bad}}
		_, expected := validated(t, applications)

		status, body := agent.post(t, "/v1/validate", asJSON(t, applications))

		var document validation
		if err := json.Unmarshal([]byte(body), &document); err != nil || status != http.StatusOK {
			t.Fatal(status, body, err)
		}
		if document.Valid || !reflect.DeepEqual(document.Errors, expected.Errors) {
			t.Errorf("%+v instead of %+v", document, expected)
		}
		if names := agent.applications.preparedNames(); len(names) > 0 {
			t.Errorf("kept %v", names)
		}
	}
}

func TestWhatIsNoApplicationIsRefused(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for body, words := range map[string]string{
		"":                                 "EOF",
		"[]":                               "cannot unmarshal",
		`{"applications": [{"nam": "x"}]}`: "unknown field",
		`{"applications": [{"name": ""}]}`: "has no name",
		`{"applications": [{"name": "a"}, {"name": "a"}]}`:          "duplicate",
		`{"applications": [{"name": "a", "response_check": true}]}`: "transaction_ttl_ms",
	} {
		if status, answered := agent.post(t, "/v1/validate", body); status != http.StatusBadRequest || !strings.Contains(answered, words) {
			t.Errorf("%s: %d %s", body, status, answered)
		}
	}
	if code, _ := agent.call(t, "GET", "/v1/validate"); code != http.StatusMethodNotAllowed {
		t.Error(code)
	}
}
