package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
)

func (s *started) call(t *testing.T, method, path string) (int, string) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.control)
	}}
	defer transport.CloseIdleConnections()
	asked, err := http.NewRequest(method, "http://agent"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answered, err := (&http.Client{Transport: transport}).Do(asked)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answered.Body.Close() }()
	body, err := io.ReadAll(answered.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered.StatusCode, string(body)
}

func TestTheControlSocketIsForItsOwnUserAlone(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for _, path := range []string{agent.control, agent.socket} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", path, info.Mode(), err)
		}
	}
}

func TestStatusCountsVisitorsAndNotThePanel(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	c := dial(t, agent.socket)
	c.ask(request{app: "small"})
	c.ask(request{app: "small", query: "a=attack"})
	c.ask(request{app: "small", query: "a=attack", probe: true})

	code, body := agent.call(t, "GET", "/v1/status")
	var status Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || code != 200 {
		t.Fatal(code, body, err)
	}
	one := status.Applications[0]
	if one.Name != "small" || one.Requests != 2 || one.Blocked != 1 || one.Errors != 0 || one.Rules != 1 {
		t.Errorf("status says %+v", one)
	}
	if status.PID != os.Getpid() || status.ConfigChecksum != agent.config.Load().Checksum || len(status.ConfigChecksum) != 64 {
		t.Errorf("status says %+v", status)
	}
}

func TestStatusAnswersDuringAReload(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	agent.reloading.Lock() // as a reload does
	defer agent.reloading.Unlock()

	if code, body := agent.call(t, "GET", "/v1/status"); code != 200 {
		t.Error(code, body)
	}
}

func TestMetricsNameVerdictsByApplication(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	c := dial(t, agent.socket)
	c.ask(request{app: "small", query: "a=attack"})
	c.ask(request{app: "small", query: "a=attack", probe: true})
	c.ask(request{app: "nobody"})

	_, body := agent.call(t, "GET", "/metrics")
	for _, line := range []string{
		`guardpanel_spoa_requests_total{application="small",verdict="blocked"} 1`,
		`guardpanel_spoa_requests_total{application="small",verdict="probe"} 1`,
		`guardpanel_spoa_requests_total{application="",verdict="error"} 1`,
		`guardpanel_spoa_applications 1`,
		`guardpanel_spoa_request_seconds_count{application="small"} 2`,
		`process_open_fds`,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}

func TestUnknownCallsAreAnsweredInJSON(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	if code, body := agent.call(t, "GET", "/v1/nonsense"); code != 404 || !strings.Contains(body, `"error"`) {
		t.Error(code, body)
	}
	if code, body := agent.call(t, "GET", "/v1/reload"); code != 405 || !strings.Contains(body, `"error"`) {
		t.Error(code, body)
	}
	if code, body := agent.call(t, "GET", "/v1/rules?application=nobody"); code != 404 || !strings.Contains(body, `"error"`) {
		t.Error(code, body)
	}
	if code, body := agent.call(t, "GET", "/v1/rules?application=small"); code != 200 || !strings.Contains(body, `"message":"an attack"`) {
		t.Error(code, body)
	}
}

func TestAReloadKeepsAddsAndRemoves(t *testing.T) {
	agent := start(t, apps(map[string]string{"kept": small, "gone": small}))
	kept, _ := agent.applications.enter("kept")
	kept.leave()
	gone, _ := agent.applications.enter("gone")
	agent.write(t, apps(map[string]string{"kept": small, "new": small}))

	code, body := agent.call(t, "POST", "/v1/reload")
	var outcome Outcome
	if err := json.Unmarshal([]byte(body), &outcome); err != nil || code != 200 {
		t.Fatal(code, body, err)
	}
	if len(outcome.Kept) != 1 || outcome.Kept[0] != "kept" || len(outcome.Added) != 1 || outcome.Added[0].Name != "new" ||
		len(outcome.Removed) != 1 || outcome.Removed[0] != "gone" {
		t.Errorf("reload says %s", body)
	}
	again, _ := agent.applications.enter("kept")
	again.leave()
	if again != kept {
		t.Error("an unchanged application was compiled again")
	}
	if gone.closed {
		t.Error("an application was closed while it was in use")
	}
	gone.leave()
	if !gone.closed {
		t.Error("a retired application was not closed after its last transaction")
	}
	c := dial(t, agent.socket)
	expect(t, c.ask(request{app: "new", query: "a=attack"}), map[string]any{"action": "deny"})
	expect(t, c.ask(request{app: "gone"}), map[string]any{"error": errorUnknownApplication})
}

func TestAnotherTextUnderTheSameNameReplacesIt(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	agent.write(t, apps(map[string]string{"small": strings.Replace(small, "attack", "other", 1)}))

	if code, body := agent.call(t, "POST", "/v1/reload"); code != 200 {
		t.Fatal(body)
	}

	c := dial(t, agent.socket)
	expect(t, c.ask(request{app: "small", query: "a=attack"}), map[string]any{"action": nil})
	expect(t, c.ask(request{app: "small", query: "a=other"}), map[string]any{"action": "deny"})
}

func TestARefusedReloadChangesNothing(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	before := agent.config.Load().Checksum
	for name, spoil := range map[string]func(){
		"a bad rule":  func() { agent.write(t, apps(map[string]string{"bad": small + "SecNonsense On\n"})) },
		"not YAML":    func() { _ = os.WriteFile(agent.file, []byte("{"), 0o600) },
		"unknown key": func() { _ = os.WriteFile(agent.file, []byte("bind: unix:/x\nnonsense: 1\n"), 0o600) },
		"other bind":  func() { _ = os.WriteFile(agent.file, []byte("bind: unix:/other\napplications: []\n"), 0o600) },
		"no file":     func() { _ = os.Remove(agent.file) },
	} {
		t.Run(name, func(t *testing.T) {
			spoil()
			if code, body := agent.call(t, "POST", "/v1/reload"); code != 422 || !strings.Contains(body, `"errors"`) {
				t.Error(code, body)
			}
			expect(t, dial(t, agent.socket).ask(request{app: "small", query: "a=attack"}), map[string]any{"action": "deny"})
			if agent.config.Load().Checksum != before {
				t.Error("the checksum changed")
			}
		})
	}
}

// slowWAF lets a test hold an inspection up.
type slowWAF struct {
	coraza.WAF
	entered, release chan struct{}
}

func (w *slowWAF) NewTransactionWithID(id string) types.Transaction {
	w.entered <- struct{}{}
	<-w.release
	return w.WAF.NewTransactionWithID(id)
}

func TestDrainingAnswersWhatIsUnderWay(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	application, _ := agent.applications.enter("small")
	application.leave()
	slow := &slowWAF{application.waf, make(chan struct{}), make(chan struct{})}
	application.waf = slow
	busy, idle := dial(t, agent.socket), dial(t, agent.socket)
	busy.send(frameNotify, 1, 1, request{app: "small", query: "a=attack"}.encode())
	<-slow.entered
	done := make(chan struct{})
	go func() { agent.drain(); close(done) }()

	if kind, _ := idle.receive(); kind != frameAgentDisconnect {
		t.Errorf("an idle connection got frame %d", kind)
	}
	if _, err := net.Dial("unix", agent.socket); err == nil {
		t.Error("the agent accepts while it drains")
	}
	close(slow.release)
	kind, payload := busy.receive()
	if kind != frameAck || variables(payload)["action"] != "deny" {
		t.Errorf("the request under way got frame %d", kind)
	}
	if kind, _ := busy.receive(); kind != frameAgentDisconnect {
		t.Errorf("then it got frame %d", kind)
	}
	<-done
	for _, path := range []string{agent.socket, agent.control} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	if !application.closed {
		t.Error("the application was not closed")
	}
}

func TestAStaleSocketIsRemovedAndALiveOneIsNot(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	second, err := newAgent(agent.file, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.listen(""); err == nil || !strings.Contains(err.Error(), "another process is listening") {
		t.Errorf("a second agent on the same socket: %v", err)
	}
	stale := agent.dir + "/stale"
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	_ = listener.Close()
	opened, err := open("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	_ = opened.Close()
	file := agent.dir + "/file"
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open("unix", file); err == nil {
		t.Error("a file gave way to a socket")
	}
	if content, _ := os.ReadFile(file); string(content) != "dear" {
		t.Error("a file was removed")
	}
}
