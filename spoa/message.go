package main

import (
	"net/netip"
	"strings"

	"github.com/dropmorepackets/haproxy-go/pkg/encoding"
)

// Message is what HAProxy sends for one request or response (waf_agent.md §3), by argument names in any order.
type Message struct {
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
}

// readMessage copies the arguments out of the frame, whose buffer is used again. A NULL or mistyped argument is as if
// it were not there: listeners on unix sockets have no addresses.
func readMessage(arguments *encoding.KVScanner) (Message, error) {
	var read Message
	entry := encoding.AcquireKVEntry()
	defer encoding.ReleaseKVEntry(entry)
	for arguments.Next(entry) {
		switch string(entry.NameBytes()) {
		case "app":
			read.Application = text(entry)
		case "id":
			read.ID = text(entry)
		case "method":
			read.Method = text(entry)
		case "path":
			read.Path = text(entry)
		case "query":
			read.Query = text(entry)
		case "version":
			read.Version = text(entry)
		case "headers":
			read.Headers = text(entry)
		case "body":
			if isText(entry) {
				read.Body = append([]byte(nil), entry.ValueBytes()...)
			}
		case "status":
			read.Status = number(entry)
		case "src-ip":
			read.SourceAddress = address(entry)
		case "src-port":
			read.SourcePort = number(entry)
		case "dst-ip":
			read.TargetAddress = address(entry)
		case "dst-port":
			read.TargetPort = number(entry)
		case "exportRuleIDs":
			read.ExportRuleIDs = entry.Type() == encoding.DataTypeBool && entry.ValueBool()
		case "probe":
			read.Probe = entry.Type() == encoding.DataTypeBool && entry.ValueBool()
		}
	}
	return read, arguments.Error()
}

func isText(entry *encoding.KVEntry) bool {
	return entry.Type() == encoding.DataTypeString || entry.Type() == encoding.DataTypeBinary
}

func text(entry *encoding.KVEntry) string {
	if !isText(entry) {
		return ""
	}
	return strings.Clone(string(entry.ValueBytes()))
}

func number(entry *encoding.KVEntry) int {
	switch entry.Type() {
	case encoding.DataTypeInt32, encoding.DataTypeInt64, encoding.DataTypeUInt32, encoding.DataTypeUInt64:
		return int(entry.ValueInt())
	}
	return 0
}

func address(entry *encoding.KVEntry) netip.Addr {
	switch entry.Type() {
	case encoding.DataTypeIPV4, encoding.DataTypeIPV6:
		return entry.ValueAddr()
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
