package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// A small HAProxy: it speaks SPOP 2.0 (HAProxy's doc/SPOE.txt, §3) over a real socket.

const (
	testFrameSize = 8 << 20
	patience      = 60 * time.Second
)

type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	next uint64
}

func dial(t *testing.T, socket string) *client {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{t: t, conn: conn, in: bufio.NewReaderSize(conn, 1<<16)}
	c.hello()
	return c
}

func (c *client) hello() {
	c.t.Helper()
	var b []byte
	b = kv(b, "supported-versions", str("2.0"))
	b = kv(b, "max-frame-size", uint32Value(testFrameSize))
	b = kv(b, "capabilities", str(""))
	c.send(frameHAProxyHello, 0, 0, b)
	if kind, _ := c.receive(); kind != frameAgentHello {
		c.t.Fatalf("hello was answered with frame %d", kind)
	}
}

func (c *client) send(kind byte, stream, frame uint64, payload []byte) {
	c.t.Helper()
	if err := c.trySend(kind, stream, frame, payload); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) trySend(kind byte, stream, frame uint64, payload []byte) error {
	_, err := c.conn.Write(encodeFrame(kind, stream, frame, payload))
	return err
}

func encodeFrame(kind byte, stream, frame uint64, payload []byte) []byte {
	body := []byte{kind, 0, 0, 0, flagFin}
	body = varint(body, stream)
	body = varint(body, frame)
	body = append(body, payload...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func (c *client) receive() (byte, []byte) {
	c.t.Helper()
	kind, payload, err := c.tryReceive()
	if err != nil {
		c.t.Fatal(err)
	}
	return kind, payload
}

func (c *client) tryReceive() (byte, []byte, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return 0, nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c.in, frame); err != nil {
		return 0, nil, err
	}
	rest := frame[5:]
	_, rest = readVarint(rest)
	_, rest = readVarint(rest)
	return frame[0], rest, nil
}

// request is the arguments of coraza-req with harmless defaults.
type request struct {
	app, id, method, path, query, version, headers, body string
	client                                               netip.Addr // 127.0.0.1 if it is none
	probe, partial                                       bool
}

func (r request) encode() []byte {
	if r.method == "" {
		r.method = "GET"
	}
	if r.path == "" {
		r.path = "/"
	}
	if r.headers == "" {
		r.headers = "host: shop.example\r\nuser-agent: test\r\naccept: */*\r\n"
	}
	arguments := [][]byte{
		kv(nil, "app", str(r.app)), kv(nil, "src-ip", r.source()), kv(nil, "src-port", int32Value(4000)),
		kv(nil, "dst-ip", []byte{0}), kv(nil, "dst-port", int32Value(80)), kv(nil, "method", str(r.method)),
		kv(nil, "path", str(r.path)), kv(nil, "query", str(r.query)), kv(nil, "version", str(cmp.Or(r.version, "1.1"))),
		kv(nil, "headers", str(r.headers)), kv(nil, "body", bin(r.body)), kv(nil, "id", str(r.id)),
		kv(nil, "exportRuleIDs", boolean(true)), kv(nil, "probe", boolean(r.probe)),
		kv(nil, "partial", boolean(r.partial)),
	}
	return encodeMessage("coraza-req", arguments)
}

func (r request) source() []byte {
	if r.client.Is4() {
		return append([]byte{6}, r.client.AsSlice()...)
	}
	return []byte{6, 127, 0, 0, 1}
}

func encodeMessage(name string, arguments [][]byte) []byte {
	payload := lengthString(nil, name)
	payload = append(payload, byte(len(arguments)))
	for _, argument := range arguments {
		payload = append(payload, argument...)
	}
	return payload
}

// ask sends one request and gives the variables of the answer.
func (c *client) ask(r request) map[string]any {
	c.t.Helper()
	return c.notify(r.encode())
}

func (c *client) notify(payload []byte) map[string]any {
	c.t.Helper()
	answer, err := c.tryNotify(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

func (c *client) tryNotify(payload []byte) (map[string]any, error) {
	c.next++
	if err := c.trySend(frameNotify, c.next, 1, payload); err != nil {
		return nil, err
	}
	kind, answer, err := c.tryReceive()
	if err != nil {
		return nil, err
	}
	if kind != frameAck {
		return nil, fmt.Errorf("answered with frame %d", kind)
	}
	return variables(answer), nil
}

// variables reads the set-var actions of an ACK.
func variables(b []byte) map[string]any {
	found := map[string]any{}
	for len(b) > 3 {
		name, rest := readString(b[3:]) // action, number of arguments, scope
		switch kind := rest[0] & 0x0f; kind {
		case 2, 3, 4, 5:
			var value uint64
			value, b = readVarint(rest[1:])
			found[name] = int(value)
		case 8:
			found[name], b = readString(rest[1:])
		default:
			return found
		}
	}
	return found
}

func varint(b []byte, value uint64) []byte {
	if value < 240 {
		return append(b, byte(value))
	}
	b = append(b, byte(value)|240)
	value = (value - 240) >> 4
	for value >= 128 {
		b = append(b, byte(value)|128)
		value = (value - 128) >> 7
	}
	return append(b, byte(value))
}

func readVarint(b []byte) (uint64, []byte) {
	value, at := uint64(b[0]), 1
	if value < 240 {
		return value, b[1:]
	}
	for shift := 4; ; shift += 7 {
		value += uint64(b[at]) << shift
		at++
		if b[at-1] < 128 {
			return value, b[at:]
		}
	}
}

func lengthString(b []byte, text string) []byte { return append(varint(b, uint64(len(text))), text...) }

func readString(b []byte) (string, []byte) {
	length, rest := readVarint(b)
	return string(rest[:length]), rest[length:]
}

func kv(b []byte, name string, value []byte) []byte { return append(lengthString(b, name), value...) }
func str(text string) []byte                        { return lengthString([]byte{8}, text) }
func bin(text string) []byte                        { return lengthString([]byte{9}, text) }
func int32Value(value uint64) []byte                { return varint([]byte{2}, value) }
func uint32Value(value uint64) []byte               { return varint([]byte{3}, value) }

func boolean(value bool) []byte {
	if value {
		return []byte{0x11}
	}
	return []byte{0x01}
}

// started is an agent that runs in this process, with its sockets in a short temporary directory.
type started struct {
	*Agent
	dir, socket, control, file string
	level                      string // of the log; "error" if empty
	events                     string // directory; "" for none
}

var crs = sync.OnceValue(func() string {
	return strings.Join([]string{
		"Include @coraza.conf-recommended", "SecRuleEngine On", "SecRequestBodyAccess On", "SecRequestBodyLimit 5242880",
		"SecRequestBodyInMemoryLimit 5242880", "SecResponseBodyAccess On", "SecAuditEngine Off",
		"Include @crs-setup.conf.example", "Include @owasp_crs/*.conf",
	}, "\n") + "\n"
})

// small is an application without the rule set, for tests that are not about rules.
const small = "SecRuleEngine On\nSecRequestBodyAccess On\nSecRequestBodyLimit 5242880\nSecRequestBodyInMemoryLimit 5242880\n" +
	`SecRule ARGS "@contains attack" "id:190001,phase:2,deny,status:403,msg:'an attack'"` + "\n"

func apps(named map[string]string) []ApplicationConfig {
	var list []ApplicationConfig
	for name, directives := range named {
		list = append(list, ApplicationConfig{Name: name, Directives: directives})
	}
	return list
}

func start(t *testing.T, applications []ApplicationConfig) *started {
	t.Helper()
	return startIn(t, applications, "")
}

func startIn(t *testing.T, applications []ApplicationConfig, events string) *started {
	t.Helper()
	dir, err := os.MkdirTemp("", "gp")
	if err != nil {
		t.Fatal(err)
	}
	s := &started{dir: dir, socket: filepath.Join(dir, "a"), control: filepath.Join(dir, "c"), file: filepath.Join(dir, "y"), events: events}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.write(t, applications)
	if s.Agent, err = newAgent(s.file, s.events); err != nil {
		t.Fatal(err)
	}
	s.patience, s.evaluating = 24*time.Hour, 24*time.Hour // however slow the machine
	if err := s.listen(s.control); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.drain)
	return s
}

func (s *started) write(t *testing.T, applications []ApplicationConfig) {
	t.Helper()
	content, err := yaml.Marshal(map[string]any{
		"bind": "unix://" + s.socket, "log_level": cmp.Or(s.level, "error"), "log_file": "/dev/stderr", "log_format": "json", "applications": applications,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// numberFrom reads how much a test is to do from the environment.
func numberFrom(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return number
}
