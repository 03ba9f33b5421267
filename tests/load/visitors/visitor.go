package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

const (
	patience = 30 * time.Second
	attack   = "1%27%20OR%20%271%27%3D%271"
	browser  = "User-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
)

// Visitor sends one request after the other, each of them once.
type Visitor struct {
	plan   Plan
	fleet  Fleet
	tally  *Tally
	chance *rand.Rand
	open   *Connection
}

func (v *Visitor) visit() {
	for {
		select {
		case <-ends:
			v.leave()
			return
		default:
		}
		v.once()
		if v.fleet.PauseMS > 0 {
			time.Sleep(time.Duration(v.chance.IntN(v.fleet.PauseMS*1000)) * time.Microsecond)
		}
	}
}

func (v *Visitor) once() {
	host := v.fleet.Hosts[v.chance.IntN(len(v.fleet.Hosts))]
	kind := v.fleet.Kinds[v.chance.IntN(len(v.fleet.Kinds))]
	asked.Add(1)
	began := time.Now()
	if v.open == nil {
		// Read before the connection is opened: what was acknowledged by then must decide it.
		atLeast := floor.Load()
		open, err := dial(v.plan.Proxy, atLeast)
		if err != nil {
			v.tally.lose(Lost{"connect: " + cause(err), v.fleet.Name, host, kind, 0, began.UnixMilli()})
			return
		}
		v.open = open
	}
	before := v.open.answers
	answer, err := v.open.ask(v.request(host, kind, before == 0))
	if err != nil {
		v.tally.lose(Lost{cause(err), v.fleet.Name, host, kind, before, began.UnixMilli()})
		v.leave()
		return
	}
	v.tally.count(host, kind, answer, v.open, time.Since(began))
	if answer.closes || !v.fleet.Keeps {
		v.leave()
	}
}

func (v *Visitor) leave() {
	if v.open != nil {
		_ = v.open.Close()
		v.open = nil
	}
}

// request is what is sent: `get`, `form` (1 KB) and the same with an attack in it.
func (v *Visitor) request(host, kind string, first bool) []byte {
	last := ""
	if !v.fleet.Keeps && first && v.chance.IntN(2) == 0 {
		last = "Connection: close\r\n"
	}
	head := "Host: " + host + "\r\n" + browser + "x-gp-test: " + v.plan.Secret + "\r\n" + last
	value := fmt.Sprint(v.chance.IntN(1_000_000))
	if strings.HasSuffix(kind, "attack") {
		value = attack
	}
	if !strings.HasPrefix(kind, "form") {
		return fmt.Appendf(nil, "GET /page?id=%s HTTP/1.1\r\n%s\r\n", value, head)
	}
	body := "id=" + value + "&text=" + strings.Repeat("a+few+plain+words+", 60)
	body = body[:1024]
	return fmt.Appendf(nil, "POST /page HTTP/1.1\r\n%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

func dial(address string, atLeast int64) (*Connection, error) {
	connection, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return newConnection(connection, atLeast), nil
}
