package main

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

const whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-gp-checksum: c\r\nx-gp-application: a\r\nX-Server: s\r\nX-Received: 0\r\n\r\nhi"

var get = []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")

// served answers the first requests with these texts and then hangs up, hard if it is said so.
func served(t *testing.T, hard bool, answers ...string) *Connection {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		reader := bufio.NewReader(connection)
		for _, answer := range answers {
			for line := ""; line != "\r\n"; {
				if line, err = reader.ReadString('\n'); err != nil {
					return
				}
			}
			_, _ = connection.Write([]byte(answer))
		}
		if hard {
			_ = connection.(*net.TCPConn).SetLinger(0)
		}
		_ = connection.Close()
	}()
	connection, err := dial(listener.Addr().String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func TestAnAnswerIsReadToItsEnd(t *testing.T) {
	connection := served(t, false, whole, strings.Replace(whole, "200 OK\r\n", "403 Forbidden\r\nConnection: close\r\n", 1))
	first, err := connection.ask(get)
	if err != nil || first != (Answer{200, "c", "a", "s", false}) {
		t.Fatal(first, err)
	}
	if second, err := connection.ask(get); err != nil || second.status != 403 || !second.closes {
		t.Fatal(second, err)
	}
}

func TestEachLossIsNamed(t *testing.T) {
	for name, expected := range map[string]struct {
		hard    bool
		answers []string
		asked   int
		cause   string
	}{
		"an idle connection that ends":        {false, []string{whole}, 2, "ended without an answer"},
		"an idle connection that is reset":    {true, []string{whole}, 2, "connection reset by peer"},
		"nothing at all":                      {false, []string{""}, 1, "ended without an answer"},
		"half a head":                         {false, []string{"HTTP/1.1 200 OK\r\nContent-Le"}, 1, "in the head: unexpected EOF"},
		"half a body":                         {false, []string{whole[:len(whole)-1]}, 1, "in the body: EOF"},
		"something else":                      {false, []string{"SSH-2.0-x\r\n"}, 1, `no HTTP: "SSH-2.0-x"`},
		"a request that did not arrive whole": {false, []string{strings.Replace(whole, "Received: 0", "Received: 7", 1)}, 1, "the server received 7 bytes of 0"},
	} {
		connection := served(t, expected.hard, expected.answers...)
		var err error
		for range expected.asked {
			_, err = connection.ask(get)
		}
		// The write itself may already meet the end of the connection; and what is written after it is answered by a reset.
		late := expected.asked == 2 && err != nil && cause(err) == "connection reset by peer"
		if err == nil || cause(err) != expected.cause && cause(err) != "broken pipe" && !late {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNobodyListensIsNamed(t *testing.T) {
	if _, err := dial("127.0.0.1:1", 0); err == nil || cause(err) != "connection refused" {
		t.Fatal(err)
	}
}

func TestLatenciesAreNearTheirPercentiles(t *testing.T) {
	tally := newTally()
	connection := &Connection{}
	for at := range 1000 {
		tally.count("h", "get", Answer{status: 200, checksum: "c", application: "-"}, connection, time.Duration(at)*100*time.Microsecond)
	}
	latency := tally.plain.latency()
	if latency.Count != 1000 || latency.P50 < 49 || latency.P50 > 54 || latency.P99 < 98 || latency.P99 > 106 {
		t.Fatal(latency)
	}
	if len(tally.firsts) != 1 || len(tally.steps) != 0 {
		t.Fatal(tally)
	}
}
