package main

import (
	"net/netip"
	"strings"

	"github.com/dropmorepackets/haproxy-go/pkg/encoding"
)

// Message is what HAProxy sends for one request or response, by argument names in any order.
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
	// Probe marks the panel's own requests: judged as any, and never counted as a visitor's.
	Probe bool
	// Partial: the body goes on after what HAProxy sent of it.
	Partial bool
}

// readMessage copies the next message's arguments out of the frame, whose buffer is used again. A NULL or mistyped
// argument is as if it were not there: listeners on unix sockets have no addresses.
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

// address is 0.0.0.0 where there is none.
func (v value) address() netip.Addr {
	if v.kind == encoding.DataTypeIPV4 || v.kind == encoding.DataTypeIPV6 {
		if found, ok := netip.AddrFromSlice(v.text); ok {
			return found
		}
	}
	return netip.IPv4Unspecified()
}

// eachHeader calls with every header of HAProxy's `req.hdrs`. There is no limit to a line.
func eachHeader(headers string, call func(name, value string)) {
	for line := range strings.SplitSeq(headers, "\n") {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if found {
			call(name, strings.Trim(value, " \t"))
		}
	}
}

// size is the bytes that rules look at.
func (m Message) size() int {
	return len(m.Method) + len(m.Path) + len(m.Query) + len(m.Headers) + len(m.Body)
}
