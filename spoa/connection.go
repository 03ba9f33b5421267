package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dropmorepackets/haproxy-go/pkg/encoding"
)

const (
	spopVersion = "2.0"
	// writePatience ends a connection whose other side no longer reads.
	writePatience = 10 * time.Second
	// keptBuffer is the largest buffer that a connection keeps between two messages.
	keptBuffer = 64 << 10
	// frameHeadRoom is what type, flags, stream and frame id can take.
	frameHeadRoom = frameHeadSize + 20
)

// errGoodbye ends a connection in good order.
var errGoodbye = errors.New("goodbye")

// connection is one of HAProxy's, from its HELLO to a DISCONNECT.
type connection struct {
	conn   net.Conn
	in     *bufio.Reader
	buffer []byte
	limit  uint32 // of a frame, as agreed
	answer func(messages []byte) (actions []byte)

	mutex   sync.Mutex
	idle    bool
	leaving bool
}

func newConnection(conn net.Conn, answer func([]byte) []byte) *connection {
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), limit: firstFrameLimit, answer: answer}
}

// serve answers frames until one side goes.
func (c *connection) serve() {
	defer func() { _ = c.conn.Close() }()
	defer func() {
		if what := recover(); what != nil { // the handler has its own net; this one is for the loop itself
			limited.report("panic in a connection", "what", what, "stack", string(debug.Stack()))
		}
	}()
	err := c.hello()
	for err == nil {
		err = c.next()
	}
	c.disconnect(err)
}

// hello agrees on a version and the size of frames. A health check ends here.
func (c *connection) hello() error {
	received, err := c.read()
	if err != nil {
		return err
	}
	if received.kind != frameHAProxyHello {
		return protocolError{statusInvalid, "the first frame is not a HELLO"}
	}
	arguments := reader{rest: received.payload}
	var size int64
	var versions string
	var healthCheck bool
	for len(arguments.rest) > 0 && arguments.err == nil {
		name, argument := string(arguments.string()), arguments.value()
		switch name {
		case "max-frame-size":
			size = argument.number
		case "supported-versions":
			versions = string(argument.text)
		case "healthcheck":
			healthCheck = argument.flag
		}
	}
	switch {
	case arguments.err != nil:
		return protocolError{statusInvalid, arguments.err.Error()}
	case !speaks(versions):
		return protocolError{statusBadVersion, "HAProxy offers SPOP " + printable(versions)}
	case size < smallestFrame:
		return protocolError{statusBadFrameSize, "HAProxy's max-frame-size is too small"}
	}
	c.limit = uint32(min(size, largestFrame))
	facts := encoding.NewKVWriter(make([]byte, smallestFrame), 0)
	_ = facts.SetString("version", spopVersion)
	_ = facts.SetUInt32("max-frame-size", c.limit)
	_ = facts.SetString("capabilities", "")
	if err := c.write(frame{kind: frameAgentHello, payload: facts.Bytes()}); err != nil {
		return err
	}
	if healthCheck {
		return io.EOF
	}
	return nil
}

func speaks(versions string) bool {
	for version := range strings.SplitSeq(versions, ",") {
		if strings.HasPrefix(strings.TrimSpace(version), "2.") {
			return true
		}
	}
	return false
}

// next answers one frame.
func (c *connection) next() error {
	received, err := c.read()
	switch {
	case err != nil:
		return err
	case received.kind == frameHAProxyDisconnect:
		return errGoodbye
	case received.kind != frameNotify:
		return protocolError{statusInvalid, "an unexpected frame"}
	case received.flags&flagFin == 0:
		return protocolError{statusNoFragments, "a fragment, which was not agreed"}
	}
	actions := c.answer(received.payload)
	if len(actions) > int(c.limit)-frameHeadRoom {
		limited.report("no verdict", "code", errorInternal, "error", "the answer is longer than a frame")
		actions = failure(errorInternal)
	}
	if cap(c.buffer) > keptBuffer {
		c.buffer = nil
	}
	return c.write(frame{kind: frameAck, stream: received.stream, id: received.id, payload: actions})
}

// read waits for a frame. Between two frames, and only there, `leave` interrupts it.
func (c *connection) read() (received frame, err error) {
	if !c.rest(true) {
		return frame{}, errGoodbye
	}
	_, err = c.in.Peek(1)
	if !c.rest(false) && err != nil {
		return frame{}, errGoodbye
	}
	if err != nil {
		return frame{}, err
	}
	received, c.buffer, err = readFrame(c.in, c.buffer, c.limit)
	return received, err
}

// rest notes whether the connection is between two frames; false if it is to leave.
func (c *connection) rest(idle bool) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.idle = idle
	if !idle {
		_ = c.conn.SetReadDeadline(time.Time{})
	}
	return !c.leaving
}

// leave ends the connection as soon as it has answered what it has begun to read.
func (c *connection) leave() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.leaving = true
	if c.idle {
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *connection) write(reply frame) error {
	reply.flags = flagFin
	encoded := reply.encode()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writePatience))
	_, err := c.conn.Write(encoded)
	return err
}

// disconnect says why, as SPOP wants it, unless the other side has gone.
func (c *connection) disconnect(why error) {
	status, words := uint32(statusNone), "normal"
	var broken protocolError
	switch {
	case errors.As(why, &broken):
		status, words = broken.status, broken.words
		limited.report("HAProxy's frame is refused", "error", broken.words)
	case errors.Is(why, errGoodbye):
	case errors.Is(why, io.EOF), errors.Is(why, io.ErrUnexpectedEOF), errors.Is(why, syscall.EPIPE),
		errors.Is(why, syscall.ECONNRESET), errors.Is(why, net.ErrClosed):
		return
	default:
		limited.report("a connection broke", "error", why)
		return
	}
	facts := encoding.NewKVWriter(make([]byte, smallestFrame), 0)
	_ = facts.SetUInt32("status-code", status)
	_ = facts.SetString("message", words)
	_ = c.write(frame{kind: frameAgentDisconnect, payload: facts.Bytes()})
}
