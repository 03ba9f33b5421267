package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// replayed sends a head and lines over the control socket, and gives the answers' lines.
func (s *started) replayed(t *testing.T, head any, lines ...string) (int, []ReplayLine, string) {
	t.Helper()
	text := encoded(t, head) + "\n" + strings.Join(lines, "\n")
	response, err := s.overControl().Post("http://agent/v1/replay", "application/x-ndjson", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, nil, string(body)
	}
	var answers []ReplayLine
	for decoder := json.NewDecoder(bytes.NewReader(body)); decoder.More(); {
		var answer ReplayLine
		if err := decoder.Decode(&answer); err != nil {
			t.Fatal(err, string(body))
		}
		answers = append(answers, answer)
	}
	return response.StatusCode, answers, string(body)
}

func (s *started) overControl() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", s.control)
	}}}
}

func encoded(t *testing.T, document any) string {
	t.Helper()
	text, isText := document.(string)
	if isText {
		return text
	}
	bytes, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes)
}

// line is a request, and its response if there is one, as a line of a replay.
func lineOf(t *testing.T, request *QuestionRequest, response *QuestionResponse) string {
	t.Helper()
	return encoded(t, map[string]any{"request": request, "response": response})
}

func under(applications ...string) ReplayHead {
	var head ReplayHead
	for _, name := range applications {
		head.Under = append(head.Under, Under{Application: name})
	}
	return head
}

func TestAReplayGivesTheVerdictsOfEvaluateInOrder(t *testing.T) {
	agent := start(t, crsApplications())
	cases := crsCases(t, crsShare())
	var lines []string
	for _, each := range cases {
		lines = append(lines, lineOf(t, each.request, each.response))
	}

	code, answers, body := agent.replayed(t, under("block1", "detect4"), lines...)

	if code != 200 || len(answers) != len(cases) {
		t.Fatalf("%d answers to %d requests: %d %.300s", len(answers), len(cases), code, body)
	}
	verdicts := map[string]int{}
	for at, each := range cases {
		for which, application := range []string{"block1", "detect4"} {
			code, evaluation, refused := agent.evaluated(t, Question{Application: application, Request: each.request, Response: each.response})
			if code != http.StatusOK {
				if answers[at].Error == "" || !strings.Contains(refused, answers[at].Error) {
					t.Errorf("%s: evaluate refuses with %s, the replay with %q", each.name, refused, answers[at].Error)
				}
				continue
			}
			expected := newReplayVerdict(&evaluation)
			if got := answers[at].Verdicts[which]; fmt.Sprint(got) != fmt.Sprint(expected) || got.Threshold != 5 {
				t.Errorf("%s, %s: %v in the replay, %v by evaluate", each.name, application, got, expected)
			}
			verdicts[evaluation.Verdict]++
		}
	}
	if verdicts["blocked"] == 0 || verdicts["detected"] == 0 || verdicts["pass"] == 0 {
		t.Errorf("verdicts are all alike: %v", verdicts)
	}
}

func TestADraftIsComparedWithALiveApplicationInOnePass(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	draft := strings.Replace(small, "contains attack", "contains other", 1)

	_, answers, body := agent.replayed(t, ReplayHead{[]Under{{Application: "small"}, {Directives: draft}}},
		lineOf(t, get("/?a=attack"), nil), lineOf(t, get("/?a=other"), nil), lineOf(t, get("/"), nil))

	var verdicts []string
	for _, answer := range answers {
		verdicts = append(verdicts, answer.Verdicts[0].Verdict+" "+answer.Verdicts[1].Verdict)
	}
	if !slices.Equal(verdicts, []string{"blocked pass", "pass blocked", "pass pass"}) || answers[0].Verdicts[0].RuleIDs[0] != "190001" {
		t.Error(body)
	}
	if len(agent.applications.all()) != 1 {
		t.Error("the draft stayed loaded")
	}
}

func TestAVerdictComesBeforeTheNextRequestIsSent(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	sent, send := io.Pipe()
	go func() {
		_, _ = io.WriteString(send, encoded(t, under("small"))+"\n"+lineOf(t, get("/?a=attack"), nil)+"\n")
	}()

	response, err := agent.overControl().Post("http://agent/v1/replay", "application/x-ndjson", sent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answers := bufio.NewReader(response.Body)
	first, _ := answers.ReadString('\n')
	_, _ = io.WriteString(send, lineOf(t, get("/"), nil)+"\n")
	second, _ := answers.ReadString('\n')
	_ = send.Close()

	if rest, err := io.ReadAll(answers); !strings.Contains(first, "blocked") || !strings.Contains(second, "pass") || len(rest) > 0 || err != nil {
		t.Error(first, second, string(rest), err)
	}
}

func TestALineThatIsNoRequestSpoilsNoOther(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	const good = `{"request":{"method":"GET","uri":"/"}}`

	_, answers, body := agent.replayed(t, under("small"), `{`, `{"request":{"uri":"/"}}`, `{"request":{"method":"GET","uri":"/","clint":"x"}}`,
		`{"application":"small","request":{"method":"GET","uri":"/"}}`, ``, good)

	if len(answers) != 6 {
		t.Fatal(body)
	}
	for at, words := range []string{"EOF", "method is required", `"clint"`, "first line", "EOF"} {
		if !strings.Contains(answers[at].Error, words) || answers[at].Verdicts != nil {
			t.Errorf("line %d: %+v", at+1, answers[at])
		}
	}
	if answers[5].Error != "" || answers[5].Verdicts[0].Verdict != "pass" {
		t.Errorf("the good one: %+v", answers[5])
	}
}

func TestAReplayIsRefusedBeforeItBegins(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for name, refused := range map[string]struct {
		head string
		code int
	}{
		"nothing":                {``, 400},
		"not JSON":               {`{`, 400},
		"a request at once":      {`{"request":{"method":"GET","uri":"/"}}`, 400},
		"no rule set":            {`{"under":[]}`, 400},
		"three":                  {`{"under":[{"application":"small"},{"application":"small"},{"application":"small"}]}`, 400},
		"both in one":            {`{"under":[{"application":"small","directives":"SecRuleEngine On"}]}`, 400},
		"an audit log":           {`{"under":[{"directives":"SecAuditLog /tmp/x"}]}`, 400},
		"too long":               {`{"under":[{"directives":"` + strings.Repeat("#", replayLine) + `"}]}`, 400},
		"an unknown application": {`{"under":[{"application":"small"},{"application":"nobody"}]}`, 404},
		"a refused draft":        {`{"under":[{"application":"small"},{"directives":"SecNonsense On"}]}`, 422},
	} {
		t.Run(name, func(t *testing.T) {
			if code, _, body := agent.replayed(t, refused.head); code != refused.code || !json.Valid([]byte(body)) || !strings.Contains(body, `"err`) {
				t.Error(code, body)
			}
		})
	}
	for range replaysAtOnce {
		agent.replays.open <- struct{}{}
	}
	if code, _, body := agent.replayed(t, under("small")); code != 429 {
		t.Error(code, body)
	}
	for range replaysAtOnce {
		<-agent.replays.open
	}
	if users := agent.applications.all()[0].users; users != 0 {
		t.Errorf("%d users are left", users)
	}
}

func TestAReplayEndsAtItsLimitsAndSaysSo(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))

	_, answers, _ := agent.replayed(t, under("small"), slices.Repeat([]string{`{"request":{"method":"GET","uri":"/"}}`}, replayRequests+1)...)
	if last := answers[len(answers)-1]; len(answers) != replayRequests+1 || !strings.Contains(last.Ended, "more than 10000") {
		t.Errorf("%d answers, the last %+v", len(answers), last)
	}

	_, answers, body := agent.replayed(t, under("small"), `{"request":{"method":"GET","uri":"/"}}`, strings.Repeat("x", replayLine+1))
	if len(answers) != 2 || answers[0].Error != "" || !strings.Contains(answers[1].Ended, "cannot read") {
		t.Error(body)
	}
}

func TestAReplayEndsWhenItsClientGoesAway(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	connection, err := net.Dial("unix", agent.control)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(connection, "POST /v1/replay HTTP/1.1\r\nhost: agent\r\ntransfer-encoding: chunked\r\n\r\n")
	for _, line := range []string{encoded(t, under("small")), lineOf(t, get("/"), nil)} {
		_, _ = fmt.Fprintf(connection, "%x\r\n%s\n\r\n", len(line)+1, line)
	}
	answers := bufio.NewReader(connection)
	for line := ""; !strings.Contains(line, "pass"); {
		if line, err = answers.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}

	_ = connection.Close()

	for range replaysAtOnce { // all places can be had: none is kept by who has gone
		agent.replays.open <- struct{}{}
	}
}

func TestReplaysTakeHalfTheProcessors(t *testing.T) {
	for cores, most := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 16: 8} {
		if got := cap(newReplays(cores).slots); got != most {
			t.Errorf("%d of %d processors", got, cores)
		}
	}
}

// TestWorkAsideComesAfterVisitors: on a thread that the kernel schedules last, and that serves nobody else afterwards.
func TestWorkAsideComesAfterVisitors(t *testing.T) {
	usual := niceness(t)
	for range 20 {
		var here int
		aside(replayNice, func() { here = niceness(t) })
		if here != replayNice {
			t.Fatalf("work aside has the niceness %d", here)
		}
	}
	var threads sync.WaitGroup
	for range 50 {
		threads.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if here := niceness(t); here != usual {
				t.Errorf("a thread was left with the niceness %d", here)
			}
		})
	}
	threads.Wait()
}

// niceness is that of the thread that runs this.
func niceness(t *testing.T) int {
	got, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0) // the kernel gives 20 less it
	if err != nil {
		t.Fatal(err)
	}
	return 20 - got
}

func TestAnAgentThatIsNeverIdleStillReplays(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for range agent.admission.cores {
		defer agent.admission.leave(held(t, agent.admission, from("192.0.2.1", 100)))
	}

	if _, answers, body := agent.replayed(t, under("small"), lineOf(t, get("/?a=attack"), nil)); len(answers) != 1 || answers[0].Verdicts[0].Verdict != "blocked" {
		t.Error(body)
	}
}

func TestBytesThatAreNoTextAreReadAsEventsWriteThem(t *testing.T) {
	random := rand.New(rand.NewPCG(20, 26))
	pieces := []string{"a", "\xff", "\x80", "\xed\xb3\xbf", "\xf0\x9f\x98\x80", "é", "\uFFFD", `\`, `"`, `\udc80`, "\x00", "\n", "\xc3", "\u2028"}
	for range 20_000 {
		var text string
		for range random.IntN(8) {
			text += pieces[random.IntN(len(pieces))]
		}
		var read lossless
		if err := json.Unmarshal(appendText(nil, text), &read); err != nil || string(read) != text {
			t.Fatalf("%q is read as %q: %v", text, string(read), err)
		}
	}
	var pair lossless
	if err := json.Unmarshal([]byte(`"\uD83D\uDE00\uDCFF\ud83d\udcff\\udc80\u00e9"`), &pair); err != nil || pair != "😀\xff\U0001F4FF\\udc80é" {
		t.Errorf("%q, %v", pair, err)
	}

	agent := start(t, apps(map[string]string{"bytes": "SecRuleEngine On\n" +
		`SecRule REQUEST_URI_RAW|REQUEST_HEADERS:x "@rx \xff" "id:190001,phase:1,deny,status:403,msg:'an odd byte'"` + "\n"}))
	_, answers, body := agent.replayed(t, under("bytes"), `{"request":{"method":"GET","uri":"/\udcff"}}`,
		`{"request":{"method":"GET","uri":"/","headers":[["x","\uDCFF"]]}}`, `{"request":{"method":"GET","uri":"/\ufffd"}}`)
	if answers[0].Verdicts[0].Verdict != "blocked" || answers[1].Verdicts[0].Verdict != "blocked" || answers[2].Verdicts[0].Verdict != "pass" {
		t.Error(body)
	}
}

func TestAnEvaluationOfTheBeginningOfABodyIsThatOfTheLivePath(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs()}))
	request := post("/", "application/json", `{"text": "a long te`)
	_, whole, _ := agent.evaluated(t, Question{Application: "crs", Request: request})
	request.Partial = true
	_, partial, body := agent.evaluated(t, Question{Application: "crs", Request: request})

	if whole.Verdict != "blocked" || partial.Verdict != "pass" {
		t.Errorf("%s as a whole, %s as a beginning: %s", whole.Verdict, partial.Verdict, body)
	}
}

func TestAPanicOfWorkAsideIsItsCallers(t *testing.T) {
	defer func() {
		if what := recover(); what != "the engine" {
			t.Error(what)
		}
	}()
	aside(replayNice, func() { panic("the engine") })
	t.Error("the caller goes on")
}
