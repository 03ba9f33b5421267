package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
)

// far is a deadline that no test meets.
var far = time.Now().Add(24 * time.Hour)

func from(client string, bytes int) Message {
	return Message{SourceAddress: netip.MustParseAddr(client), Body: make([]byte, bytes)}
}

// held admits a message that must get a slot at once.
func held(t *testing.T, a *admission, message Message) *ticket {
	t.Helper()
	slot, err := a.enter(message, time.Now())
	if err != nil {
		t.Fatalf("%d bytes of %s: %v", message.size(), message.SourceAddress, err)
	}
	return slot
}

func TestOneClientLeavesSlotsToOthers(t *testing.T) {
	a := newAdmission(2)
	held(t, a, from("192.0.2.1", 100))
	held(t, a, from("192.0.2.1", 100))

	if _, err := a.enter(from("192.0.2.1", 100), time.Now()); !errors.Is(err, errLate) {
		t.Errorf("a third at once: %v", err)
	}
	held(t, a, from("192.0.2.2", 100))
}

func TestAnIPv6ClientHasAWholeNetwork(t *testing.T) {
	a := newAdmission(1)
	held(t, a, from("2001:db8::1", 100))

	if _, err := a.enter(from("2001:db8::2", 100), time.Now()); !errors.Is(err, errLate) {
		t.Error(err)
	}
	held(t, a, from("2001:db8:0:1::1", 100))
}

func TestLargeMessagesLeaveSlotsToSmallOnes(t *testing.T) {
	a := newAdmission(2)
	first := held(t, a, from("192.0.2.1", 4<<20))
	held(t, a, from("192.0.2.2", 4<<20))

	if _, err := a.enter(from("192.0.2.3", 4<<20), time.Now()); !errors.Is(err, errLate) {
		t.Errorf("a third at once: %v", err)
	}
	for client := range 2*inspectionsPerCore - 2 {
		held(t, a, from(fmt.Sprintf("192.0.2.%d", 10+client), 100))
	}
	if _, err := a.enter(from("192.0.2.99", 100), time.Now()); !errors.Is(err, errLate) {
		t.Errorf("more than there are slots: %v", err)
	}
	a.leave(first)
	held(t, a, from("192.0.2.99", 100))
}

func TestWhoWaitsIsAdmittedInOrder(t *testing.T) {
	a := newAdmission(1)
	slot := held(t, a, from("192.0.2.1", 4<<20))
	large, same, small := waits(t, a, from("192.0.2.2", 4<<20)), waits(t, a, from("192.0.2.1", 100)), waits(t, a, from("192.0.2.1", 100))

	a.leave(slot)

	if !admitted(large) || !admitted(same) || admitted(small) {
		t.Errorf("admitted: %v %v %v", admitted(large), admitted(same), admitted(small))
	}
	a.leave(same)
	a.leave(large)
	if !admitted(small) {
		t.Error("the last was forgotten")
	}
	a.leave(small)
	if waiting, bytes, running := a.depth(); waiting+bytes+running != 0 || len(a.clients) != 0 {
		t.Errorf("left over: %d waiting, %d bytes, %d running, %d clients", waiting, bytes, running, len(a.clients))
	}
}

// waits puts a message into the queue, where it must stay.
func waits(t *testing.T, a *admission, message Message) *ticket {
	t.Helper()
	one := &ticket{client: clientOf(message.SourceAddress), size: message.size(), admitted: make(chan struct{})}
	if err := a.queue(one); err != nil || admitted(one) {
		t.Fatalf("%v, admitted %v", err, admitted(one))
	}
	return one
}

func admitted(one *ticket) bool {
	select {
	case <-one.admitted:
		return true
	default:
		return false
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	a := newAdmission(1)
	a.slots = 1
	held(t, a, from("192.0.2.1", 100))
	for range waitingMessages / 2 {
		waits(t, a, from("192.0.2.1", 100))
	}

	if _, err := a.enter(from("192.0.2.1", 100), far); !errors.Is(err, errQueueFull) {
		t.Errorf("one client: %v", err)
	}
	for range waitingMessages / 2 {
		waits(t, a, from("192.0.2.2", 100))
	}
	if _, err := a.enter(from("192.0.2.3", 100), far); !errors.Is(err, errQueueFull) {
		t.Errorf("all together: %v", err)
	}
	if len(a.clients) != 2 {
		t.Errorf("%d clients are remembered", len(a.clients))
	}
}

func TestTheBytesThatWaitAreBounded(t *testing.T) {
	a := newAdmission(1)
	held(t, a, from("192.0.2.1", 4<<20))
	for range waitingBytes / 2 / (4 << 20) {
		waits(t, a, from("192.0.2.1", 4<<20))
	}

	if _, err := a.enter(from("192.0.2.1", 4<<20), far); !errors.Is(err, errQueueFull) {
		t.Error(err)
	}
	waits(t, a, from("192.0.2.2", 4<<20))
}

// blockedWAF holds inspections up until it is told to go on.
type blockedWAF struct {
	coraza.WAF
	release chan struct{}
}

func (w *blockedWAF) NewTransactionWithID(id string) types.Transaction {
	<-w.release
	return w.WAF.NewTransactionWithID(id)
}

func TestMonstrousBodiesDoNotStarveSmallRequests(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small, "held": small}))
	application, _ := agent.applications.named("held")
	application.leave()
	hold := &blockedWAF{WAF: application.waf, release: make(chan struct{})}
	application.waf = hold
	monsters := 10 * agent.admission.slots
	answers := make(chan map[string]any, monsters)
	for at := range monsters {
		c := dial(t, agent.socket)
		monster := request{app: "held", client: netip.AddrFrom4([4]byte{192, 0, 2, byte(at)}), body: strings.Repeat("x", largeMessage)}
		go func() {
			answer, _ := c.tryNotify(monster.encode())
			answers <- answer
		}()
	}
	eventually(t, func() bool {
		waiting, _, _ := agent.admission.depth()
		return waiting == monsters-agent.admission.cores
	})

	expect(t, dial(t, agent.socket).ask(request{app: "small", query: "a=attack"}), map[string]any{"action": "deny", "error": nil})

	close(hold.release)
	for range monsters {
		expect(t, <-answers, map[string]any{"error": nil, "rules_hit": 0})
	}
}

// eventually polls, with a deadline.
func eventually(t *testing.T, true func() bool) {
	t.Helper()
	for began := time.Now(); !true(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("it never was so")
		}
	}
}

func TestAnInspectionThatTakesTooLongIsEnded(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs()}))
	c := dial(t, agent.socket)
	headers := "host: a\r\nuser-agent: t\r\naccept: */*\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n"
	monster := request{app: "crs", method: "POST", headers: headers, query: "a=" + strings.Repeat("select%20", 100_000)}
	agent.patience = 20 * time.Millisecond

	expect(t, c.ask(monster), map[string]any{"error": errorLate, "action": nil})

	agent.patience = 24 * time.Hour
	if waiting, _, running := agent.admission.depth(); waiting+running != 0 {
		t.Errorf("%d wait and %d run", waiting, running)
	}
	for range 3 { // transactions are used again: the one that was ended must have left nothing behind
		expect(t, c.ask(request{app: "crs", query: "a=1"}), map[string]any{"action": nil, "anomaly_score": 0, "error": nil})
		expect(t, c.ask(request{app: "crs", query: "id=1%27%20OR%20%271%27=%271"}), map[string]any{"action": "deny", "error": nil})
	}
	_, metrics := agent.call(t, "GET", "/metrics")
	if !strings.Contains(metrics, `guardpanel_spoa_errors_total{cause="late"} 1`) {
		t.Error("it was not counted")
	}
}

func TestAFullQueueIsAnsweredAtOnce(t *testing.T) {
	agent := start(t, apps(map[string]string{"small": small}))
	for range agent.admission.cores {
		held(t, agent.admission, from("127.0.0.1", 100))
	}
	for range waitingMessages / 2 {
		waits(t, agent.admission, from("127.0.0.1", 100))
	}

	expect(t, dial(t, agent.socket).ask(request{app: "small"}), map[string]any{"error": errorOverload, "action": nil})
	if application, _ := agent.applications.named("small"); application.users != 1 {
		t.Errorf("%d users", application.users)
	}
}
