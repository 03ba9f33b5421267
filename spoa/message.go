package main

import (
	"net/netip"
	"strings"

	"github.com/dropmorepackets/haproxy-go/pkg/encoding"
)

// Message is a request or response from HAProxy. Arguments are identified by name, in any order.
type Message struct {
	Name          string
	Application   string
	ID            string
	Method        string
	Path          string
	Query         string
	Version       string
	Headers       string
	Body          []byte
	Status        int
	SourceAddress netip.Addr
	SourcePort    int
	TargetAddress netip.Addr
	TargetPort    int
	ExportRuleIDs bool
	// Probe marks the panel's own requests: judged like others, but not counted as a visitor's.
	Probe bool
	// Partial: HAProxy sent only the beginning of the body.
	Partial bool
}

// readMessage copies the next message's arguments from the frame, whose buffer is reused. NULL or mistyped arguments
// count as missing: listeners on unix sockets have no addresses.
func readMessage(from *reader) Message {
	read := Message{Name: string(from.string())}
	for left := from.byte(); left > 0; left-- {
		name, argument := from.string(), from.value()
		if from.err != nil {
			break
		}
		read.set(string(name), argument)
	}
	return read
}

func (m *Message) set(name string, argument value) {
	switch name {
	case "app":
		m.Application = argument.string()
	case "id":
		m.ID = argument.string()
	case "method":
		m.Method = argument.string()
	case "path":
		m.Path = argument.string()
	case "query":
		m.Query = argument.string()
	case "version":
		m.Version = argument.string()
	case "headers":
		m.Headers = argument.string()
	case "body":
		m.Body = []byte(argument.string())
	case "status":
		m.Status = int(argument.number)
	case "src-ip":
		m.SourceAddress = argument.address()
	case "src-port":
		m.SourcePort = int(argument.number)
	case "dst-ip":
		m.TargetAddress = argument.address()
	case "dst-port":
		m.TargetPort = int(argument.number)
	case "exportRuleIDs":
		m.ExportRuleIDs = argument.flag
	case "partial":
		m.Partial = argument.flag
	case "probe":
		m.Probe = argument.flag
	}
}

func (v value) string() string {
	if v.kind == encoding.DataTypeString || v.kind == encoding.DataTypeBinary {
		return string(v.text)
	}
	return ""
}

// address is 0.0.0.0 if there is none.
func (v value) address() netip.Addr {
	if v.kind == encoding.DataTypeIPV4 || v.kind == encoding.DataTypeIPV6 {
		if found, ok := netip.AddrFromSlice(v.text); ok {
			return found
		}
	}
	return netip.IPv4Unspecified()
}

// eachHeader is called with every header of HAProxy's `req.hdrs`. Lines may have any length.
func eachHeader(headers string, call func(name, value string)) {
	for line := range strings.SplitSeq(headers, "\n") {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if found {
			call(name, strings.Trim(value, " \t"))
		}
	}
}

// size is the number of bytes that rules inspect.
func (m Message) size() int {
	return len(m.Method) + len(m.Path) + len(m.Query) + len(m.Headers) + len(m.Body)
}
