package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"text/template"

	crstests "github.com/corazawaf/coraza-coreruleset/v4/tests"
	"gopkg.in/yaml.v3"
)

// The rule set's own regression tests, embedded in its Go module: 318 files in the format of go-ftw.

type crsFile struct {
	RuleID int `yaml:"rule_id"`
	Tests  []struct {
		ID     int        `yaml:"test_id"`
		Stages []crsStage `yaml:"stages"`
	} `yaml:"tests"`
}

type crsStage struct {
	Input struct {
		Method       string    `yaml:"method"`
		URI          string    `yaml:"uri"`
		Version      string    `yaml:"version"`
		Headers      yaml.Node `yaml:"headers"` // a mapping, whose order is kept
		Data         *string   `yaml:"data"`
		Encoded      string    `yaml:"encoded_request"`
		Autocomplete *bool     `yaml:"autocomplete_headers"`
	} `yaml:"input"`
	Output struct {
		Status int `yaml:"status"`
		Log    struct {
			Expect   []int `yaml:"expect_ids"`
			NoExpect []int `yaml:"no_expect_ids"`
		} `yaml:"log"`
	} `yaml:"output"`
}

// crsCase is one stage of one test, as HAProxy would see it.
type crsCase struct {
	name     string
	request  *QuestionRequest
	response *QuestionResponse
	expect   []int
	noExpect []int
	status   int // of the answer, if the test names one
}

// crsCases are every n-th stage of the tests.
func crsCases(t testing.TB, every int) []crsCase {
	t.Helper()
	var cases []crsCase
	at := 0
	err := fs.WalkDir(crstests.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		content, err := fs.ReadFile(crstests.FS, path)
		if err != nil {
			return err
		}
		var file crsFile
		if err := yaml.Unmarshal(content, &file); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, test := range file.Tests {
			for _, stage := range test.Stages {
				if at++; at%every == 0 {
					cases = append(cases, stage.read(fmt.Sprintf("%d-%d", file.RuleID, test.ID)))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func (s crsStage) read(name string) crsCase {
	one := crsCase{name: name, expect: s.Output.Log.Expect, noExpect: s.Output.Log.NoExpect, status: s.Output.Status}
	if s.Input.Encoded != "" {
		one.request = rawRequest(s.Input.Encoded)
		return one
	}
	one.request = &QuestionRequest{
		Client: "127.0.0.1", Method: or(s.Input.Method, "GET"), URI: or(s.Input.URI, "/"),
		Version: strings.TrimPrefix(or(s.Input.Version, "HTTP/1.1"), "HTTP/"),
	}
	for at := 0; at+1 < len(s.Input.Headers.Content); at += 2 {
		one.request.Headers = append(one.request.Headers, [2]string{s.Input.Headers.Content[at].Value, s.Input.Headers.Content[at+1].Value})
	}
	if s.Input.Data != nil {
		one.request.Body = []byte(expanded(*s.Input.Data))
	}
	if s.Input.Autocomplete == nil || *s.Input.Autocomplete {
		one.request.complete()
	}
	if strings.HasPrefix(one.request.URI, "/reflect") {
		one.response = reflected(one.request.Body)
	}
	return one
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// complete adds the headers that go-ftw adds.
func (r *QuestionRequest) complete() {
	has := func(name string) bool {
		return slices.ContainsFunc(r.Headers, func(one [2]string) bool { return strings.EqualFold(one[0], name) })
	}
	if len(r.Body) > 0 && !has("content-type") {
		r.Headers = append(r.Headers, [2]string{"Content-Type", "application/x-www-form-urlencoded"})
	}
	if len(r.Body) > 0 && !has("content-length") && !has("transfer-encoding") {
		r.Headers = append(r.Headers, [2]string{"Content-Length", strconv.Itoa(len(r.Body))})
	}
}

// expanded is a body whose templates ({{ "x" | repeat 34 }}) are filled in; what is no template stays.
func expanded(text string) string {
	functions := template.FuncMap{"repeat": func(count int, what string) string { return strings.Repeat(what, count) }}
	parsed, err := template.New("").Funcs(functions).Parse(text)
	if err != nil {
		return text
	}
	var out bytes.Buffer
	if parsed.Execute(&out, nil) != nil {
		return text
	}
	return out.String()
}

// rawRequest reads the bytes of a whole request.
func rawRequest(encoded string) *QuestionRequest {
	raw, _ := base64.StdEncoding.DecodeString(encoded)
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	words := append(strings.SplitN(lines[0], " ", 3), "", "", "")
	request := &QuestionRequest{
		Client: "127.0.0.1", Method: words[0], URI: words[1], Version: strings.TrimPrefix(words[2], "HTTP/"), Body: []byte(body),
	}
	for _, line := range lines[1:] {
		if name, value, found := strings.Cut(line, ":"); found {
			request.Headers = append(request.Headers, [2]string{name, strings.Trim(value, " \t")})
		}
	}
	return request
}

// reflected is the answer that the tests' server gives: what the request's body says.
func reflected(body []byte) *QuestionResponse {
	var wanted struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		Encoded []byte            `json:"encodedBody"`
	}
	_ = json.Unmarshal(body, &wanted) // a body that is none is answered with nothing
	response := &QuestionResponse{Status: wanted.Status, Body: []byte(wanted.Body)}
	if response.Status == 0 {
		response.Status = http.StatusOK
	}
	if len(wanted.Encoded) > 0 {
		response.Body = wanted.Encoded
	}
	for name, value := range wanted.Headers {
		response.Headers = append(response.Headers, [2]string{name, value})
	}
	sort.Slice(response.Headers, func(i, j int) bool { return response.Headers[i][0] < response.Headers[j][0] })
	if !slices.ContainsFunc(response.Headers, func(one [2]string) bool { return strings.EqualFold(one[0], "content-type") }) {
		response.Headers = append(response.Headers, [2]string{"Content-Type", "text/plain; charset=utf-8"})
	}
	return response
}

// live asks as HAProxy does, over SPOE's messages, and gives the variables of the last answer.
func (one crsCase) live(agent *started, application string) map[string]any {
	path, query, _ := strings.Cut(one.request.URI, "?")
	answer := variables(agent.answer(request{
		app: application, id: one.name, method: one.request.Method, path: path, query: query, version: one.request.Version,
		headers: joined(one.request.Headers), body: string(one.request.Body),
	}.encode()))
	if one.response == nil || answer["action"] != nil {
		return answer
	}
	return variables(agent.answer(encodeMessage("coraza-res", [][]byte{
		kv(nil, "app", str(application)), kv(nil, "id", str(one.name)), kv(nil, "version", str("1.1")),
		kv(nil, "status", int32Value(uint64(one.response.Status))), kv(nil, "headers", str(joined(one.response.Headers))),
		kv(nil, "body", bin(string(one.response.Body))), kv(nil, "exportRuleIDs", boolean(true)),
	})))
}

// asLive is an evaluation in the variables that HAProxy would get.
func (e Evaluation) asLive(responded bool) map[string]any {
	score := e.Scores.Inbound.Blocking
	if responded && (e.Interruption == nil || e.Interruption.On == "response") {
		score = e.Scores.Outbound.Blocking
	}
	as := map[string]any{"rules_hit": len(e.RuleIDs), "rule_ids": strings.Join(e.RuleIDs, ","), "anomaly_score": score}
	if e.Interruption != nil {
		as["action"], as["status"], as["ruleid"] = e.Interruption.Action, e.Interruption.Status, e.Interruption.RuleID
	}
	return as
}

const toTheLimits = "SecAction \"id:100001,phase:1,pass,nolog,t:none,setvar:tx.blocking_paranoia_level=4\"\n"

// crsApplications block at each paranoia level that matters, and detect everything.
func crsApplications() []ApplicationConfig {
	strict := strings.Replace(crs(), "Include @owasp_crs/*.conf", toTheLimits+"Include @owasp_crs/*.conf", 1)
	detecting := strings.Replace(strict, "SecRuleEngine On", "SecRuleEngine DetectionOnly", 1)
	named := func(name, directives string) ApplicationConfig {
		return ApplicationConfig{Name: name, Directives: directives, ResponseCheck: true, TransactionTTLMS: 600_000}
	}
	return []ApplicationConfig{named("block1", crs()), named("block4", strict), named("detect4", detecting)}
}

// crsShare is every how many-th test is run: all with GUARDPANEL_CRS=all (make evaluate-crs).
func crsShare() int {
	if os.Getenv("GUARDPANEL_CRS") == "all" {
		return 1
	}
	return 100
}

func TestEvaluateGivesTheVerdictOfTheLivePath(t *testing.T) {
	agent := start(t, crsApplications())
	cases := crsCases(t, crsShare())
	if len(cases) < 4680/crsShare()-1 {
		t.Fatalf("only %d of the rule set's tests were found", len(cases))
	}
	compared := map[string]int{}
	for _, one := range cases {
		for _, application := range []string{"block1", "block4", "detect4"} {
			live := one.live(agent, application)
			code, evaluation, body := agent.evaluated(t, Question{Application: application, Request: one.request, Response: one.response})
			if code == http.StatusBadRequest && one.status == http.StatusBadRequest {
				compared["no request"]++ // a server answers 400 itself, and so does HAProxy
				continue
			}
			if code != http.StatusOK {
				t.Errorf("%s: %d %s", one.name, code, body)
				continue
			}
			for name, value := range evaluation.asLive(one.response != nil) {
				if live[name] != value {
					t.Errorf("%s, %s: %s is %v live and %v in the evaluation", one.name, application, name, live[name], value)
				}
			}
			if (live["action"] == nil) != (evaluation.Interruption == nil) || live["error"] != nil {
				t.Errorf("%s, %s: live %v, in the evaluation %s", one.name, application, live, evaluation.Verdict)
			}
			compared[evaluation.Verdict]++
		}
	}
	t.Logf("%d of the rule set's tests through both: %v", len(cases), compared)
	if compared["blocked"] == 0 || compared["detected"] == 0 || compared["pass"] == 0 {
		t.Errorf("verdicts are all alike: %v", compared)
	}
}
