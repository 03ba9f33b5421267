package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzMessages: whatever HAProxy's messages hold, there is an answer.
func FuzzMessages(f *testing.F) {
	whole := request{app: "small", query: "a=attack", body: "b=1"}.encode()
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(encodeMessage("coraza-res", [][]byte{kv(nil, "app", str("small")), kv(nil, "id", []byte{0})}))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	config := &Config{Applications: []ApplicationConfig{{Name: "small", Directives: small}}}
	agent := &Agent{admission: newAdmission(1), patience: time.Minute}
	agent.metrics = newMetrics(&agent.applications, agent.admission)
	if _, problems := agent.applications.load(config); len(problems) > 0 {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(agent.answer(payload)) == 0 {
			t.Error("silence")
		}
	})
}

// FuzzEvent: whatever a client sends, an event is one line of valid JSON, and its masked parts are gone.
func FuzzEvent(f *testing.F) {
	f.Add("user=vera&password=x", "{\"token\": \"abc\", \"a\":[1")
	f.Add("\xff\x00name=\"pwd\"\r\n\r\nabc\r\n--", "<password a='>'>x</password")
	f.Add("pwd==&&<pwd>\":\"", "4111 1111 1111 1111-4")
	f.Fuzz(func(t *testing.T, one, two string) {
		event := anEvent(one)
		event.message.Path, event.message.Query, event.message.Headers, event.message.Body = one, two, two+"\n"+one, []byte(one+two)
		event.secrets.add(one)
		event.rules = []firedRule{}
		line := event.appendJSON(nil)
		if !json.Valid(line) || bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("%q is no line of JSON", line)
		}
		value := strings.NewReplacer("&", "", "\r", "", "\n", "").Replace(one)
		if text := event.mask.text("pwd="+value+"&ok=1", nil); value != "" && text != "pwd="+masked+"&ok=1" {
			t.Fatalf("%q is what is left of %q", text, value)
		}
	})
}
