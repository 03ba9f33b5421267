package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Connection is HTTP/1.1 to the letter, and without a second try.
type Connection struct {
	net.Conn
	reader  *bufio.Reader
	atLeast int64  // the newest save that was acknowledged before it was opened
	answers int    // so far
	decided string // the revision's checksum that decided the last answer
}

// Answer is what a request got. Server is the one that answered, Length what it received.
type Answer struct {
	status                        int
	checksum, application, server string
	closes                        bool
}

var errEnd = errors.New("ended without an answer")

func newConnection(connection net.Conn, atLeast int64) *Connection {
	return &Connection{Conn: connection, reader: bufio.NewReaderSize(connection, 8192), atLeast: atLeast}
}

func (c *Connection) ask(request []byte) (Answer, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return Answer{}, err
	}
	if _, err := c.Write(request); err != nil {
		return Answer{}, fmt.Errorf("write: %w", err)
	}
	answer, length, err := c.head(request)
	if err != nil {
		return answer, err
	}
	if _, err := c.reader.Discard(length); err != nil {
		return answer, fmt.Errorf("in the body: %w", err)
	}
	c.answers++
	return answer, nil
}

// head is the status line and what matters of the headers; and the length of the body.
func (c *Connection) head(request []byte) (Answer, int, error) {
	var answer Answer
	length, received := -1, -1
	line, err := c.line()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errEnd
		}
		return answer, 0, err
	}
	if len(line) < 12 || line[:9] != "HTTP/1.1 " {
		return answer, 0, fmt.Errorf("no HTTP: %q", line)
	}
	answer.status, _ = strconv.Atoi(line[9:12])
	for {
		line, err = c.line()
		if err != nil {
			return answer, 0, fmt.Errorf("in the head: %w", err)
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			length, _ = strconv.Atoi(value)
		case "connection":
			answer.closes = strings.EqualFold(value, "close")
		case "x-gp-checksum":
			answer.checksum = value
		case "x-gp-application":
			answer.application = value
		case "x-server":
			answer.server = value
		case "x-received":
			received, _ = strconv.Atoi(value)
		}
	}
	if length < 0 {
		return answer, 0, errors.New("no content-length")
	}
	if answer.server != "" && received != bodyOf(request) {
		return answer, 0, fmt.Errorf("the server received %d bytes of %d", received, bodyOf(request))
	}
	return answer, length, nil
}

func (c *Connection) line() (string, error) {
	line, err := c.reader.ReadString('\n')
	if err != nil && line != "" && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(line, "\r\n"), err
}

func bodyOf(request []byte) int {
	_, body, _ := strings.Cut(string(request), "\r\n\r\n")
	return len(body)
}

// cause is the kind of a failure, without the addresses in it.
func cause(err error) string {
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		return number.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}
