package main

import (
	"encoding/binary"
	"io"
	"net"
)

const (
	frameHAProxyDisconnect = 2
	frameLengthSize        = 4
)

// politeListener gives connections that end as HAProxy expects. haproxy-go v0.1.1 reads on after a HAPROXY-DISCONNECT,
// and an old HAProxy worker would hold a request for `timeout idle` at each reload while it waits for the answer. An
// end of the stream makes haproxy-go send its AGENT-DISCONNECT and close (HAProxy's doc/SPOE.txt §3.2.8).
type politeListener struct{ net.Listener }

func (l politeListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &politeConn{Conn: conn}, nil
}

// politeConn follows the frames that pass through Read and ends the stream after a HAPROXY-DISCONNECT.
type politeConn struct {
	net.Conn
	head    []byte // what is known of the current frame's length and type
	left    uint32 // bytes of the current frame that are still to come
	leaving bool   // the current frame is a disconnect
	gone    bool
}

func (c *politeConn) Read(buffer []byte) (int, error) {
	if c.gone {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(buffer)
	c.gone = c.follow(buffer[:n])
	return n, err
}

// follow tells whether a whole disconnect frame has gone by.
func (c *politeConn) follow(bytes []byte) bool {
	for len(bytes) > 0 {
		if c.left == 0 {
			c.head = append(c.head, bytes[0])
			bytes = bytes[1:]
			if len(c.head) <= frameLengthSize {
				continue
			}
			c.left = binary.BigEndian.Uint32(c.head) - 1
			c.leaving = c.head[frameLengthSize] == frameHAProxyDisconnect
			c.head = c.head[:0]
		} else {
			step := min(int(c.left), len(bytes))
			c.left -= uint32(step)
			bytes = bytes[step:]
		}
		if c.left == 0 && c.leaving {
			return true
		}
	}
	return false
}
