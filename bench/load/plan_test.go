package main

import (
	"fmt"
	"testing"
	"time"
)

func TestEveryRequestOfAPlanIsAnswered(t *testing.T) {
	request := []byte("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
	plan := Plan{
		Proxy: fmt.Sprintf("127.0.0.1:%d", serve()), Client: "127.0.1.1", Clients: 2, Connections: 3, Seconds: 0.05, Requests: [][]byte{request},
	}

	came := plan.run()

	if len(came.Failures) > 0 || came.Statuses[200] < 3 || came.Statuses[200] != len(came.Times) {
		t.Errorf("%+v", came)
	}
}

func TestARateIsDividedAmongConnections(t *testing.T) {
	began := time.Unix(0, 0)
	v := visitor{plan: Plan{PerSecond: 10, Connections: 2}, number: 1, began: began, tally: &tally{}}

	if first, second := v.due(0).Sub(began), v.due(1).Sub(began); first != 100*time.Millisecond || second != 300*time.Millisecond {
		t.Errorf("due after %v and %v", first, second)
	}
}

func TestARequestThatHadToWaitIsTimedFromWhenItWasDue(t *testing.T) {
	due := time.Now().Add(-time.Second)
	v := visitor{plan: Plan{PerSecond: 1}, tally: &tally{last: due.Add(time.Millisecond)}}

	if since := v.since(due); !since.Equal(due) {
		t.Errorf("timed from %v", since)
	}
	if v.tally.last = due.Add(-time.Millisecond); v.since(due).Equal(due) {
		t.Error("a late timer was counted")
	}
}
