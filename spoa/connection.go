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
	// pipelining: a connection accepts messages before the previous one is answered, and answers arrive in any order.
	pipelining = "pipelining"
	// writePatience ends a connection whose peer no longer reads.
	writePatience = 10 * time.Second
	// frameHeadRoom is the maximum size of type, flags, stream and frame id.
	frameHeadRoom = frameHeadSize + 20
)

// errGoodbye ends a connection in good order.
var errGoodbye = errors.New("goodbye")

// connection is a connection of HAProxy, from its HELLO to a DISCONNECT.
type connection struct {
	conn   net.Conn
	in     *bufio.Reader
	limit  uint32 // of a frame, as agreed
	answer func(messages []byte) (actions []byte)

	answering sync.WaitGroup
	writing   sync.Mutex

	mutex   sync.Mutex
	idle    bool
	leaving bool
}

func newConnection(conn net.Conn, answer func([]byte) []byte) *connection {
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), limit: firstFrameLimit, answer: answer}
}

// serve answers frames until either side disconnects, and then what was read by then.
func (c *connection) serve() {
	defer func() { _ = c.conn.Close() }()
	defer caught()
	err := c.hello()
	for err == nil {
		err = c.next()
	}
	c.answering.Wait()
	c.disconnect(err)
}

// caught handles a panic of the connection itself. The handler catches its own.
func caught() {
	if what := recover(); what != nil {
		limited.report("panic in a connection", "what", what, "stack", string(debug.Stack()))
	}
}

// hello negotiates version and frame size. A health check ends here.
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
	var versions, capabilities string
	var healthCheck bool
	for len(arguments.rest) > 0 && arguments.err == nil {
		name, argument := string(arguments.string()), arguments.value()
		switch name {
		case "max-frame-size":
			size = argument.number
		case "supported-versions":
			versions = string(argument.text)
		case "capabilities":
			capabilities = string(argument.text)
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
	_ = facts.SetString("capabilities", agreed(capabilities))
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

// agreed returns what the agent offers of what HAProxy supports. Without pipelining, HAProxy opens another connection
// only if more messages are in progress than arrived in a second, and lets the others wait: a few long inspections
// would delay everyone.
func agreed(offered string) string {
	for capability := range strings.SplitSeq(offered, ",") {
		if strings.TrimSpace(capability) == pipelining {
			return pipelining
		}
	}
	return ""
}

// next starts to answer a frame.
func (c *connection) next() error {
	received, err := c.read()
	switch {
	case err != nil:
		return err
	case received.kind == frameHAProxyDisconnect:
		return errGoodbye
	case received.kind != frameNotify:
		return protocolError{statusInvalid, "unexpected frame"}
	case received.flags&flagFin == 0:
		return protocolError{statusNoFragments, "fragmented frame, but fragmentation was not negotiated"}
	}
	c.answering.Go(func() { c.acknowledge(received) })
	return nil
}

// acknowledge answers a frame when its verdict is ready. A connection that cannot be written to is closed.
func (c *connection) acknowledge(received frame) {
	defer caught()
	actions := c.answer(received.payload)
	if len(actions) > int(c.limit)-frameHeadRoom {
		limited.report("no verdict", "code", errorInternal, "error", "the response does not fit into a frame")
		actions = failure(errorInternal)
	}
	if err := c.write(frame{kind: frameAck, stream: received.stream, id: received.id, payload: actions}); err != nil {
		_ = c.conn.Close()
	}
}

// read waits for a frame. `leave` interrupts it only between two frames.
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
	return readFrame(c.in, c.limit)
}

// rest records whether the connection is between two frames. False if it must leave.
func (c *connection) rest(idle bool) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.idle = idle
	if !idle {
		_ = c.conn.SetReadDeadline(time.Time{})
	}
	return !c.leaving
}

// leave ends the connection after answering what it has begun to read.
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
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writePatience))
	_, err := c.conn.Write(encoded)
	return err
}

// disconnect sends the reason, as SPOP requires, unless the peer is gone.
func (c *connection) disconnect(why error) {
	status, words := uint32(statusNone), "normal"
	var broken protocolError
	switch {
	case errors.As(why, &broken):
		status, words = broken.status, broken.words
		limited.report("rejected a frame from HAProxy", "error", broken.words)
	case errors.Is(why, errGoodbye):
	case errors.Is(why, io.EOF), errors.Is(why, io.ErrUnexpectedEOF), errors.Is(why, syscall.EPIPE),
		errors.Is(why, syscall.ECONNRESET), errors.Is(why, net.ErrClosed):
		return
	default:
		limited.report("connection failed", "error", why)
		return
	}
	facts := encoding.NewKVWriter(make([]byte, smallestFrame), 0)
	_ = facts.SetUInt32("status-code", status)
	_ = facts.SetString("message", words)
	_ = c.write(frame{kind: frameAgentDisconnect, payload: facts.Bytes()})
}
