package main

import (
	"bytes"
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
