package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// evaluated asks POST /v1/evaluate.
func (s *started) evaluated(t *testing.T, question any) (int, Evaluation, string) {
	t.Helper()
	text, isText := question.(string)
	if !isText {
		encoded, err := json.Marshal(question)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	recorder := httptest.NewRecorder()
	s.Agent.control().ServeHTTP(recorder, httptest.NewRequest("POST", "/v1/evaluate", strings.NewReader(text)))
	var evaluation Evaluation
	if recorder.Code == http.StatusOK {
		if err := json.Unmarshal(recorder.Body.Bytes(), &evaluation); err != nil {
			t.Fatal(err)
		}
	}
	return recorder.Code, evaluation, recorder.Body.String()
}

func get(uri string) *QuestionRequest {
	return &QuestionRequest{Client: "203.0.113.7", Method: "GET", URI: uri, Version: "1.1", Headers: [][2]string{
		{"host", "shop.example"}, {"user-agent", "test"}, {"accept", "*/*"},
	}}
}

func post(uri, kind, body string) *QuestionRequest {
	request := get(uri)
	request.Method, request.Body = "POST", []byte(body)
	request.Headers = append(request.Headers, [2]string{"content-type", kind}, [2]string{"content-length", strconv.Itoa(len(body))})
	return request
}

func (e Evaluation) rule(id int) *EvaluatedRule {
	for at := range e.Rules {
		if e.Rules[at].ID == id {
			return &e.Rules[at]
		}
	}
	return nil
}

func TestAnEvaluationSaysWhatMatchedAndWhy(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs()}))

	code, evaluation, body := agent.evaluated(t, Question{Application: "crs", Request: get("/?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E")})

	if code != 200 || evaluation.Verdict != "blocked" || evaluation.Status != 403 || evaluation.Interruption.RuleID != 949110 {
		t.Fatal(code, body)
	}
	scores := evaluation.Scores
	if scores.Inbound.Blocking < 15 || scores.Inbound.ParanoiaLevels["1"] != scores.Inbound.Blocking ||
		scores.Attacks["xss"] != scores.Inbound.Blocking || scores.Inbound.Threshold != 5 || scores.Attacks["sql_injection"] != 0 {
		t.Errorf("scores are %+v", scores)
	}
	rule := evaluation.rule(941100)
	if rule == nil || rule.Message == "" || rule.Data == "" || rule.Severity != "critical" || rule.Phase != 2 || rule.ParanoiaLevel != "1" ||
		len(rule.Tags) == 0 || !rule.Counted || rule.File == "" {
		t.Fatalf("rule 941100 is %+v", rule)
	}
	if match := rule.Matches[0]; match.Variable != "ARGS" || match.Key != "q" || match.Value != "<script>alert(1)</script>" {
		t.Errorf("941100 matched %+v", match)
	}
}

func TestAnEvaluationTellsTheLinksOfAChainApart(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs()}))
	request := get("/login?PHPSESSID=abc")
	request.Headers = append(request.Headers, [2]string{"referer", "https://evil.example/x"})

	_, evaluation, body := agent.evaluated(t, Question{Application: "crs", Request: request})

	rule := evaluation.rule(943110)
	if rule == nil {
		t.Fatal(body)
	}
	seen := map[int]string{}
	for _, match := range rule.Matches {
		seen[match.Chain] = match.Variable
	}
	if seen[0] != "ARGS_NAMES" || seen[1] != "REQUEST_HEADERS" {
		t.Errorf("links matched %v", seen)
	}
}

func TestDirectivesNeverLoadedAreEvaluatedAndForgotten(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))

	code, evaluation, body := agent.evaluated(t, Question{Directives: small, Request: post("/", "application/x-www-form-urlencoded", "a=attack")})

	if code != 200 || evaluation.Verdict != "blocked" || evaluation.rule(190001) == nil || evaluation.Seconds.Compile <= 0 {
		t.Error(code, body)
	}
	if len(agent.applications.all()) != 1 {
		t.Error("the directives stayed loaded")
	}
}

func TestRefusedDirectivesAreAnsweredWithTheirLine(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))

	code, _, body := agent.evaluated(t, Question{Directives: small + "SecNonsense On\n", Request: get("/")})

	if code != 422 || !strings.Contains(body, `"line":6`) || !strings.Contains(body, "SecNonsense") {
		t.Error(code, body)
	}
}

func TestAnEvaluationJudgesTheResponseToo(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs()}))
	leak := &QuestionResponse{
		Status: 500, Headers: [][2]string{{"content-type", "text/html"}},
		Body: []byte("You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version"),
	}

	_, evaluation, body := agent.evaluated(t, Question{Application: "crs", Request: get("/"), Response: leak})

	if evaluation.Verdict != "blocked" || evaluation.Interruption.On != "response" || evaluation.Scores.Outbound.Blocking == 0 {
		t.Error(body)
	}
}

func TestAnEvaluationLeavesNoTrace(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "audit.log")
	logged := small + "SecAuditEngine On\nSecAuditLogFormat JSON\nSecAuditLog " + trace + "\n" +
		`SecAction "id:190003,phase:1,pass,nolog,ctl:auditEngine=On"` + "\n"
	agent := start(t, apps(map[string]string{"small": logged}))
	_, before := agent.call(t, "GET", "/metrics")

	if code, evaluation, body := agent.evaluated(t, Question{Application: "small", Request: get("/?a=attack")}); evaluation.Verdict != "blocked" {
		t.Fatal(code, body)
	}

	_, after := agent.call(t, "GET", "/metrics")
	if counted(before) != counted(after) {
		t.Errorf("metrics were\n%s\nand are\n%s", counted(before), counted(after))
	}
	if one := agent.status().Applications[0]; one.Requests+one.Blocked+one.Errors != 0 {
		t.Errorf("status says %+v", one)
	}
	if written, _ := os.ReadFile(trace); len(written) > 0 {
		t.Errorf("the audit log has %s", written)
	}
	dial(t, agent.socket).ask(request{app: "small", query: "a=attack"})
	if written, _ := os.ReadFile(trace); len(written) == 0 {
		t.Error("and a visitor's attack is not in it either")
	}
}

// counted is the agent's own metrics without those of the process.
func counted(metrics string) string {
	var lines []string
	for line := range strings.SplitSeq(metrics, "\n") {
		if strings.HasPrefix(line, "guardpanel_spoa_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestAQuestionIsReadStrictly(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	const request = `"request":{"method":"GET","uri":"/","headers":[]}`
	for name, one := range map[string]struct {
		question string
		code     int
	}{
		"not JSON":               {`{`, 400},
		"nothing":                {``, 400},
		"an unknown key":         {`{"application":"small","aplication":"x",` + request + `}`, 400},
		"two documents":          {`{"application":"small",` + request + `} {}`, 400},
		"what follows":           {`{"application":"small",` + request + `} x`, 400},
		"neither":                {`{` + request + `}`, 400},
		"both":                   {`{"application":"small","directives":"x",` + request + `}`, 400},
		"no request":             {`{"application":"small"}`, 400},
		"no method":              {`{"application":"small","request":{"uri":"/"}}`, 400},
		"no address":             {`{"application":"small","request":{"method":"GET"}}`, 400},
		"bad base64":             {`{"application":"small","request":{"method":"GET","uri":"/","body":"%%"}}`, 400},
		"a client's name":        {`{"application":"small","request":{"method":"GET","uri":"/","client":"shop.example"}}`, 400},
		"a header in a header":   {`{"application":"small","request":{"method":"GET","uri":"/","headers":[["a","b\r\nc: d"]]}}`, 400},
		"a colon in a name":      {`{"application":"small","request":{"method":"GET","uri":"/","headers":[["a:b","c"]]}}`, 400},
		"a status of 99":         {`{"application":"small",` + request + `,"response":{"status":99}}`, 400},
		"an audit log":           {`{"directives":"SecAuditLog /tmp/x",` + request + `}`, 400},
		"a program":              {`{"directives":"SecRule ARGS \"@inspectFile /bin/sh\" \"id:1\"",` + request + `}`, 400},
		"too many directives":    {`{"directives":"` + strings.Repeat("#", evaluationDirectives+1) + `",` + request + `}`, 400},
		"too much":               {`{"application":"` + strings.Repeat("x", evaluationBytes) + `"}`, 413},
		"an unknown application": {`{"application":"nobody",` + request + `}`, 404},
		"a good one":             {`{"application":"small",` + request + `}`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, body := agent.evaluated(t, one.question)
			if code != one.code || !json.Valid([]byte(body)) || code != 200 && !strings.Contains(body, `"error":"`) {
				t.Error(code, body)
			}
		})
	}
}

func TestTheDefaultApplicationIsNotEvaluatedUnderAnotherName(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	agent.applications.other = "small"

	if code, _, body := agent.evaluated(t, Question{Application: "nobody", Request: get("/")}); code != 404 {
		t.Error(code, body)
	}
}

func TestEvaluationsAreBoundedInNumberAndTime(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for range evaluationsAtOnce {
		agent.evaluations <- struct{}{}
	}
	if code, _, body := agent.evaluated(t, Question{Application: "small", Request: get("/")}); code != 429 {
		t.Error(code, body)
	}
	response, err := agent.overControl().Post("http://agent/v1/evaluate", "", strings.NewReader(strings.Repeat("x", 4<<20)))
	if err != nil || response.StatusCode != 429 {
		t.Errorf("a long question is answered with %v, %v", response, err)
	}
	_ = response.Body.Close()
	<-agent.evaluations

	application, _ := agent.applications.named("small")
	defer application.leave()
	if _, err := evaluateGuarded(application, &Question{Request: get("/")}, 0, nil); statusOf(err) != 504 {
		t.Error(err)
	}
}

func TestBytesThatAreNoTextComeAsTheyAre(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))

	_, evaluation, body := agent.evaluated(t, Question{Application: "small", Request: get("/?a=attack%ff")})

	match := evaluation.rule(190001).Matches[0]
	if match.Value != "attack\uFFFD" || match.ValueBase64 != "YXR0YWNr/w==" || !json.Valid([]byte(body)) {
		t.Errorf("%+v", match)
	}
}

func TestALongValueIsCutAndSaysSo(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	long := "attack" + strings.Repeat("x", 100_000)

	_, evaluation, _ := agent.evaluated(t, Question{
		Application: "small", Request: post("/", "application/x-www-form-urlencoded", "a="+long),
	})

	if match := evaluation.rule(190001).Matches[0]; len(match.Value) != shownValue || match.ValueLength != len(long) {
		t.Errorf("%d of %d bytes", len(match.Value), match.ValueLength)
	}
}

func TestTheRulesAreListedAsTheEngineHoldsThem(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs() + "SecRuleRemoveById 942100\nSecRuleUpdateTargetById 941100 \"!ARGS:content\"\n"}))
	code, body := agent.call(t, "GET", "/v1/rules?application=crs")
	var listed struct{ Rules []Rule }
	if err := json.NewDecoder(bytes.NewReader([]byte(body))).Decode(&listed); err != nil || code != 200 {
		t.Fatal(code, err)
	}
	byID := map[int]Rule{}
	for _, rule := range listed.Rules {
		byID[rule.ID] = rule
	}

	if _, there := byID[942100]; there {
		t.Error("a removed rule is listed")
	}
	if _, there := byID[0]; there || len(byID) != len(listed.Rules) || len(byID) < 600 {
		t.Errorf("%d rules, %d with different ids", len(listed.Rules), len(byID))
	}
	xss := byID[941100]
	if xss.Operator != "@detectXSS" || xss.ParanoiaLevel != "1" || xss.Phase != 2 || xss.Severity != "critical" ||
		!strings.Contains(xss.Message, "XSS") || !strings.Contains(strings.Join(xss.Targets, "|"), "ARGS|!ARGS:content") {
		t.Errorf("941100 is %+v", xss)
	}
	fixation := byID[943110]
	if len(fixation.Chain) != 2 || strings.Join(fixation.Targets, "|") != "ARGS_NAMES" ||
		fixation.Chain[0].Targets[0] != "REQUEST_HEADERS:referer" || !strings.HasPrefix(fixation.Chain[0].Operator, "@rx ") {
		t.Errorf("943110 is %+v", fixation)
	}
	if counting := byID[920100]; !strings.HasPrefix(counting.Operator, "!@rx ") {
		t.Errorf("920100 is %+v", counting)
	}
}
