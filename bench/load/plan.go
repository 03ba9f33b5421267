package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// patience is longer than HAProxy's.
const patience = 60 * time.Second

// Plan is what is sent: the requests one after the other, by so many connections.
type Plan struct {
	Proxy       string
	TLS         bool   // whoever it is: no certificate is looked at
	Client      string // the first client's address; each further client has the next
	Clients     int    // among whom the connections are divided
	Connections int
	Seconds     float64
	PerSecond   float64  // of all connections together; 0: each asks as soon as it is answered
	Requests    [][]byte // whole, with their heads
}

// run sends until its seconds are over, and waits for the answers to what was sent.
func (p Plan) run() Report {
	var wait sync.WaitGroup
	began, used := time.Now(), processorTime()
	tallies := make([]tally, p.Connections)
	for at := range tallies {
		wait.Go(func() { (&visitor{plan: p, tally: &tallies[at], number: at, began: began}).visit() })
	}
	wait.Wait()
	return report(tallies, time.Since(began), processorTime()-used)
}

// visitor is one connection's.
type visitor struct {
	plan   Plan
	tally  *tally
	number int
	began  time.Time
	open   net.Conn
	reader *bufio.Reader
}

func (v *visitor) visit() {
	defer v.leave()
	ends := v.began.Add(seconds(v.plan.Seconds))
	for sent := 0; ; sent++ {
		due := v.due(sent)
		if due.After(ends) || sent > 0 && time.Now().After(ends) { // a visitor that came late has asked once
			return
		}
		time.Sleep(time.Until(due))
		v.ask(v.plan.Requests[(v.number+sent)%len(v.plan.Requests)], v.since(due))
	}
}

// due is when a request is to be sent. Without a rate that is at once.
func (v *visitor) due(sent int) time.Time {
	if v.plan.PerSecond == 0 {
		return v.began
	}
	return v.began.Add(seconds(float64(sent*v.plan.Connections+v.number) / v.plan.PerSecond))
}

// since is from when the answer is waited for: a request that had to wait for the one before was due earlier. That the
// timer was late is not the stack's fault.
func (v *visitor) since(due time.Time) time.Time {
	if v.plan.PerSecond > 0 && v.tally.last.After(due) {
		return due
	}
	return time.Now()
}

func (v *visitor) ask(request []byte, since time.Time) {
	status, err := v.answer(request)
	v.tally.last = time.Now()
	if err != nil {
		v.tally.fail(err)
		v.leave()
		return
	}
	v.tally.count(status, v.tally.last.Sub(since))
}

func (v *visitor) answer(request []byte) (int, error) {
	if v.open == nil {
		if err := v.dial(); err != nil {
			return 0, err
		}
	}
	_ = v.open.SetDeadline(time.Now().Add(patience))
	if _, err := v.open.Write(request); err != nil {
		return 0, err
	}
	received, err := readHead(v.reader)
	if err != nil {
		return 0, err
	}
	if _, err := v.reader.Discard(received.length); err != nil {
		return 0, err
	}
	if received.closes {
		v.leave()
	}
	return received.status(), nil
}

func (v *visitor) dial() error {
	dialer := net.Dialer{Timeout: patience}
	if v.plan.Client != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: nth(v.plan.Client, v.number%max(1, v.plan.Clients)).AsSlice()}
	}
	connection, err := dialer.Dial("tcp", v.plan.Proxy)
	if err != nil {
		return err
	}
	if v.plan.TLS {
		connection = tls.Client(connection, &tls.Config{InsecureSkipVerify: true})
	}
	v.open, v.reader = connection, bufio.NewReaderSize(connection, 8<<10)
	return nil
}

func (v *visitor) leave() {
	if v.open != nil {
		_ = v.open.Close()
		v.open = nil
	}
}

// nth is the address that comes so many after the first.
func nth(first string, further int) netip.Addr {
	bytes := netip.MustParseAddr(first).As4()
	binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(bytes[:])+uint32(further))
	return netip.AddrFrom4(bytes)
}

func seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }

func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
