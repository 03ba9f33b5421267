package main

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func expect(t *testing.T, answer map[string]any, wanted map[string]any) {
	t.Helper()
	for name, value := range wanted {
		if answer[name] != value {
			t.Errorf("%s is %v, not %v (all: %v)", name, answer[name], value, answer)
		}
	}
}

func TestTheRuleSetJudgesRequests(t *testing.T) {
	response := ApplicationConfig{Name: "both", Directives: crs(), ResponseCheck: true, TransactionTTLMS: 60_000}
	agent := start(t, []ApplicationConfig{
		{Name: "block", Directives: crs()},
		{Name: "detect", Directives: strings.Replace(crs(), "SecRuleEngine On", "SecRuleEngine DetectionOnly", 1)},
		response,
	})
	c := dial(t, agent.socket)
	form := "host: shop.example\r\nuser-agent: t\r\naccept: */*\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 9\r\n"

	t.Run("a clean request passes", func(t *testing.T) {
		answer := c.ask(request{app: "block", query: "a=1", id: "one"})
		expect(t, answer, map[string]any{"id": "one", "anomaly_score": 0, "rules_hit": 0, "action": nil, "error": nil})
	})
	t.Run("an attack in the query is denied", func(t *testing.T) {
		answer := c.ask(request{app: "block", query: "id=1%27%20OR%20%271%27=%271"})
		expect(t, answer, map[string]any{"action": "deny", "status": 403, "ruleid": 949110})
		if !strings.Contains(answer["rule_ids"].(string), "942100") {
			t.Errorf("rule_ids are %v", answer["rule_ids"])
		}
	})
	t.Run("an attack in the body is denied", func(t *testing.T) {
		answer := c.ask(request{app: "block", method: "POST", headers: form, body: "a=<script>alert(1)</script>"})
		expect(t, answer, map[string]any{"action": "deny", "status": 403})
	})
	t.Run("detection only scores and passes", func(t *testing.T) {
		answer := c.ask(request{app: "detect", query: "id=1%27%20OR%20%271%27=%271"})
		expect(t, answer, map[string]any{"action": nil, "anomaly_score": 5})
	})
	t.Run("a response that leaks is denied", func(t *testing.T) {
		expect(t, c.ask(request{app: "both", id: "r1"}), map[string]any{"action": nil})
		leak := "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version"
		answer := c.notify(encodeMessage("coraza-res", [][]byte{
			kv(nil, "app", str("both")), kv(nil, "id", str("r1")), kv(nil, "version", str("1.1")), kv(nil, "status", int32Value(500)),
			kv(nil, "headers", str("content-type: text/html\r\n")), kv(nil, "body", bin(leak)), kv(nil, "exportRuleIDs", boolean(true)),
		}))
		expect(t, answer, map[string]any{"action": "deny", "error": nil})
	})
	t.Run("a response without its request is an error", func(t *testing.T) {
		answer := c.notify(encodeMessage("coraza-res", [][]byte{kv(nil, "app", str("both")), kv(nil, "id", str("nobody"))}))
		expect(t, answer, map[string]any{"error": errorNoRequest})
	})
}

func TestFourMebibytesAreJudgedToTheLastByte(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	c := dial(t, agent.socket)
	headers := "host: a\r\ncontent-type: application/x-www-form-urlencoded\r\n"
	filler := "a=" + strings.Repeat("x", 4<<20)

	expect(t, c.ask(request{app: "small", method: "POST", headers: headers, body: filler + "&b=attack"}), map[string]any{"action": "deny"})
	expect(t, c.ask(request{app: "small", method: "POST", headers: headers, body: filler}), map[string]any{"action": nil, "error": nil})
}

func TestAnUnknownApplicationIsAnsweredAtOnce(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	c := dial(t, agent.socket)

	expect(t, c.ask(request{app: "nobody"}), map[string]any{"error": errorUnknownApplication, "action": nil})
	expect(t, c.ask(request{app: ""}), map[string]any{"error": errorUnknownApplication})
	expect(t, c.ask(request{app: "small"}), map[string]any{"error": nil, "rules_hit": 0})
}

func TestAPanicCostsOneRequest(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small, "broken": small}))
	broken, _ := agent.applications.enter("broken")
	broken.leave()
	waf := broken.waf
	broken.waf = nil // calling it panics as a fault in the engine would
	c := dial(t, agent.socket)

	expect(t, c.ask(request{app: "broken"}), map[string]any{"error": errorInternal})
	expect(t, c.ask(request{app: "small", query: "a=attack"}), map[string]any{"action": "deny", "error": nil})
	broken.waf = waf
	if broken.users != 0 || broken.errors.Load() != 1 {
		t.Errorf("%d users and %d errors after a panic", broken.users, broken.errors.Load())
	}
}

func TestATruncatedMessageIsAnsweredWithAnError(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	c := dial(t, agent.socket)
	whole := request{app: "small", query: "a=attack"}.encode()
	for length := range len(whole) {
		expect(t, c.notify(whole[:length]), map[string]any{"error": errorBadMessage, "action": nil})
	}

	expect(t, c.notify(whole), map[string]any{"error": nil, "action": "deny"})
	expect(t, c.notify(encodeMessage("coraza-nonsense", nil)), map[string]any{"error": errorBadMessage})
}

func TestASenselessFrameIsAnsweredWithADisconnect(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for name, bytes := range map[string][]byte{
		"no ids":             {0, 0, 0, 5, frameNotify, 0, 0, 0, flagFin},
		"no type":            {0, 0, 0, 0},
		"longer than agreed": {0xff, 0xff, 0xff, 0xff, frameNotify},
		"another protocol":   []byte("GET / HTTP/1.1\r\n\r\n"),
		"another type":       encodeFrame(77, 1, 1, nil),
		"a second hello":     encodeFrame(frameHAProxyHello, 0, 0, nil),
		"a fragment":         {0, 0, 0, 7, frameNotify, 0, 0, 0, 0, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, agent.socket)
			if _, err := c.conn.Write(bytes); err != nil {
				t.Fatal(err)
			}
			if kind, _ := c.receive(); kind != frameAgentDisconnect {
				t.Errorf("answered with frame %d", kind)
			}
		})
	}
}

func TestAFrameCutShortByItsSenderHarmsNobody(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	whole := encodeFrame(frameNotify, 1, 1, request{app: "small"}.encode())
	for length := range len(whole) {
		c := dial(t, agent.socket)
		_, _ = c.conn.Write(whole[:length])
		_ = c.conn.Close()
	}

	expect(t, dial(t, agent.socket).ask(request{app: "small", query: "a=attack"}), map[string]any{"action": "deny"})
}

func TestTwoMessagesInOneFrameAreBothJudged(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	both := append(request{app: "small", query: "a=attack", id: "1"}.encode(), request{app: "nobody"}.encode()...)

	expect(t, dial(t, agent.socket).notify(both), map[string]any{"action": "deny", "id": "1", "error": errorUnknownApplication})
}

func TestTheDefaultApplicationJudgesWhatHasNone(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	agent.applications.other = "small"

	expect(t, dial(t, agent.socket).ask(request{app: "nobody", query: "a=attack"}), map[string]any{"action": "deny", "error": nil})
}

func TestAResponseThatNeverComesIsForgotten(t *testing.T) {
	agent := start(t, []ApplicationConfig{{Name: "small", Directives: small, ResponseCheck: true, TransactionTTLMS: 60_000}})
	application, _ := agent.applications.enter("small")
	dial(t, agent.socket).ask(request{app: "small", id: "one"})

	for _, transaction := range application.waiting.olderThan(time.Now().Add(time.Second)) {
		application.waiting.end(transaction)
	}
	if application.users != 1 { // this test itself
		t.Errorf("%d users", application.users)
	}
	application.leave()
}

func TestAClientThatGoesAwayDoesNotHarm(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for range 50 {
		c := dial(t, agent.socket)
		c.send(frameNotify, 1, 1, request{app: "small", body: strings.Repeat("x", 100_000)}.encode())
		_ = c.conn.Close()
	}

	expect(t, dial(t, agent.socket).ask(request{app: "small"}), map[string]any{"error": nil})
}

func TestTwoHundredConnectionsAtOnceAreAllAnswered(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	var group sync.WaitGroup
	failures := make(chan string, 400)
	for range 200 {
		c := dial(t, agent.socket)
		group.Add(1)
		go func() {
			defer group.Done()
			for _, query := range []string{"a=1", "a=attack"} {
				answer, err := c.tryNotify(request{app: "small", query: query}.encode())
				if err != nil || answer["error"] != nil || (answer["action"] == "deny") != (query == "a=attack") {
					failures <- query
				}
			}
		}()
	}
	group.Wait()
	if len(failures) > 0 {
		t.Errorf("%d of 400 requests without the right verdict", len(failures))
	}
}

func TestHeadersHaveNoLimitOfALine(t *testing.T) {
	agent := start(t, apps(map[string]string{
		"small": small + `SecRule REQUEST_HEADERS:X-Long "@endsWith end" "id:190002,phase:1,deny,status:400,msg:'long'"` + "\n",
	}))
	headers := "host: a\r\nno colon here\r\nx-long: " + strings.Repeat("y", 100_000) + "end\r\n"

	expect(t, dial(t, agent.socket).ask(request{app: "small", headers: headers}), map[string]any{"action": "deny", "status": 400})
}

func TestTheHealthCheckIsAnswered(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	conn, err := net.Dial("unix", agent.socket)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn}
	var b []byte
	b = kv(b, "supported-versions", str("2.0"))
	b = kv(b, "max-frame-size", uint32Value(16380))
	b = kv(b, "capabilities", str(""))
	b = kv(b, "healthcheck", boolean(true))
	c.send(frameHAProxyHello, 0, 0, b)
	answer := make([]byte, 5)
	if _, err := conn.Read(answer); err != nil || answer[4] != frameAgentHello {
		t.Fatalf("the check got %v, %v", answer, err)
	}
}

func TestADisconnectIsAnsweredAtOnce(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	c := dial(t, agent.socket)
	c.ask(request{app: "small"})
	var b []byte
	b = kv(b, "status-code", uint32Value(0))
	b = kv(b, "message", str("normal"))
	frame := encodeFrame(frameHAProxyDisconnect, 0, 0, b)
	for _, part := range [][]byte{frame[:3], frame[3:6], frame[6:]} { // as it may come over a socket
		if _, err := c.conn.Write(part); err != nil {
			t.Fatal(err)
		}
	}

	if kind, _ := c.receive(); kind != frameAgentDisconnect {
		t.Errorf("answered with frame %d", kind)
	}
	if kind, _, err := c.tryReceive(); err == nil {
		t.Errorf("frame %d came instead of the end", kind)
	}
}
