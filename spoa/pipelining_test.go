package main

import (
	"strings"
	"testing"
)

func TestALongInspectionHoldsUpNobodyOnItsConnection(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small, "held": small}))
	application, _ := agent.applications.named("held")
	application.leave()
	hold := &blockedWAF{WAF: application.waf, release: make(chan struct{})}
	application.waf = hold
	c := dial(t, agent.socket)
	c.send(frameNotify, 1, 7, request{app: "held", id: "long"}.encode())
	c.send(frameNotify, 2, 8, request{app: "small", id: "short", query: "a=attack"}.encode())

	expectAcknowledged(t, c, 2, 8, map[string]any{"id": "short", "action": "deny"})

	close(hold.release)
	expectAcknowledged(t, c, 1, 7, map[string]any{"id": "long", "action": nil})
}

// expectAcknowledged reads the next frame, which must be the answer to this one.
func expectAcknowledged(t *testing.T, c *client, stream, id uint64, expected map[string]any) {
	t.Helper()
	received, err := readFrame(c.in, testFrameSize)
	if err != nil || received.kind != frameAck || received.stream != stream || received.id != id {
		t.Fatalf("frame %d of stream %d, %d: %v", received.kind, received.stream, received.id, err)
	}
	expect(t, variables(received.payload), expected)
}

func TestEveryMessageOfManyOnOneConnectionIsAnsweredOnce(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	c := dial(t, agent.socket)
	const messages = 200
	go func() {
		for stream := range uint64(messages) {
			if c.trySend(frameNotify, stream, 1, request{app: "small", query: "a=attack", body: strings.Repeat("x", int(stream)*100)}.encode()) != nil {
				return
			}
		}
	}()

	answered := map[uint64]bool{}
	for range messages {
		received, err := readFrame(c.in, testFrameSize)
		if err != nil || received.kind != frameAck || answered[received.stream] {
			t.Fatalf("frame %d of stream %d: %v", received.kind, received.stream, err)
		}
		answered[received.stream] = true
		expect(t, variables(received.payload), map[string]any{"action": "deny", "error": nil})
	}
}

func TestPipeliningIsAgreedOnWhereHAProxyOffersIt(t *testing.T) {
	for offered, agreement := range map[string]string{"": "", "fragmentation": "", "pipelining": "pipelining", "fragmentation, pipelining,async": "pipelining"} {
		if got := agreed(offered); got != agreement {
			t.Errorf("of %q the agent agrees on %q", offered, got)
		}
	}
}
