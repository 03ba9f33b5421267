package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dropmorepackets/haproxy-go/pkg/encoding"
)

// SPOP's frames (HAProxy's doc/SPOE.txt §3.2).
const (
	frameHAProxyHello      = 1
	frameHAProxyDisconnect = 2
	frameNotify            = 3
	frameAgentHello        = 101
	frameAgentDisconnect   = 102
	frameAck               = 103

	flagFin = 1

	frameLengthSize = 4
	frameHeadSize   = 5 // type and flags
	firstFrameLimit = 64 << 10
	smallestFrame   = 256
	// largestFrame exceeds any `tune.bufsize` in use, so that an absurd length is rejected before memory is allocated.
	largestFrame = 64 << 20
)

// Status codes of a disconnect.
const (
	statusNone         = 0
	statusTooBig       = 3
	statusInvalid      = 4
	statusBadVersion   = 8
	statusBadFrameSize = 9
	statusNoFragments  = 10
)

// protocolError ends the connection with a status code for HAProxy.
type protocolError struct {
	status uint32
	words  string
}

func (e protocolError) Error() string { return e.words }

type frame struct {
	kind    byte
	flags   uint32
	stream  uint64
	id      uint64
	payload []byte
}

// readFrame reads a frame. Its payload is not shared.
func readFrame(in *bufio.Reader, limit uint32) (frame, error) {
	var head [frameLengthSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(head[:])
	switch {
	case length > limit:
		return frame{}, protocolError{statusTooBig, fmt.Sprintf("frame of %d bytes; the negotiated maximum is %d", length, limit)}
	case length < frameHeadSize:
		return frame{}, protocolError{statusInvalid, fmt.Sprintf("a frame of %d bytes", length)}
	}
	buffer := make([]byte, length)
	if _, err := io.ReadFull(in, buffer); err != nil {
		return frame{}, err
	}
	read := frame{kind: buffer[0], flags: binary.BigEndian.Uint32(buffer[1:])}
	rest := reader{rest: buffer[frameHeadSize:]}
	read.stream, read.id = rest.varint(), rest.varint()
	read.payload = rest.rest
	if rest.err != nil {
		return frame{}, protocolError{statusInvalid, "frame without stream ID and frame ID"}
	}
	return read, nil
}

func (f frame) encode() []byte {
	out := make([]byte, frameLengthSize+frameHeadSize, frameLengthSize+frameHeadSize+20+len(f.payload))
	out[frameLengthSize] = f.kind
	binary.BigEndian.PutUint32(out[frameLengthSize+1:], f.flags)
	out = appendVarint(out, f.stream)
	out = appendVarint(out, f.id)
	out = append(out, f.payload...)
	binary.BigEndian.PutUint32(out, uint32(len(out)-frameLengthSize))
	return out
}

func appendVarint(out []byte, value uint64) []byte {
	var encoded [10]byte
	n, _ := encoding.PutVarint(encoded[:], value) // ten bytes suffice for any
	return append(out, encoded[:n]...)
}

var errTruncated = errors.New("the frame is truncated")

// reader decodes values from a payload. After the first error it returns zero values. haproxy-go's scanners panic on a
// truncated payload and do not stop at the end of a message's arguments.
type reader struct {
	rest []byte
	err  error
}

// value is a typed argument. Its text refers to the frame's buffer and must be copied to be kept.
type value struct {
	kind   encoding.DataType
	flag   bool
	number int64
	text   []byte
}

func (r *reader) varint() uint64 {
	if r.err != nil {
		return 0
	}
	number, n, err := encoding.Varint(r.rest)
	if err != nil {
		r.err = errTruncated
		return 0
	}
	r.rest = r.rest[n:]
	return number
}

func (r *reader) take(length uint64) []byte {
	if r.err == nil && length > uint64(len(r.rest)) {
		r.err = errTruncated
	}
	if r.err != nil {
		return nil
	}
	taken := r.rest[:length:length]
	r.rest = r.rest[length:]
	return taken
}

func (r *reader) byte() byte {
	if taken := r.take(1); r.err == nil {
		return taken[0]
	}
	return 0
}

func (r *reader) string() []byte { return r.take(r.varint()) }

func (r *reader) value() value {
	head := r.byte()
	read := value{kind: encoding.DataType(head & 0x0f), flag: head&0x10 != 0}
	switch read.kind {
	case encoding.DataTypeNull, encoding.DataTypeBool:
	case encoding.DataTypeInt32, encoding.DataTypeInt64, encoding.DataTypeUInt32, encoding.DataTypeUInt64:
		read.number = int64(r.varint())
	case encoding.DataTypeIPV4:
		read.text = r.take(4)
	case encoding.DataTypeIPV6:
		read.text = r.take(16)
	case encoding.DataTypeString, encoding.DataTypeBinary:
		read.text = r.string()
	default:
		if r.err == nil {
			r.err = fmt.Errorf("unknown value type %d", read.kind)
		}
	}
	return read
}
