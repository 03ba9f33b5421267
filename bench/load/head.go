package main

import (
	"bufio"
	"bytes"
	"strconv"
)

// head is what matters of a request's or an answer's.
type head struct {
	first  []byte // line
	length int    // of the body
	closes bool
}

var (
	contentLength = []byte("content-length:")
	closing       = []byte("connection: close")
)

// readHead reads up to the body.
func readHead(reader *bufio.Reader) (head, error) {
	first, err := reader.ReadSlice('\n')
	if err != nil {
		return head{}, err
	}
	answer := head{first: bytes.Clone(first)}
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return head{}, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0:
			return answer, nil
		case has(line, contentLength):
			if answer.length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return head{}, err
			}
		case has(line, closing):
			answer.closes = true
		}
	}
}

func has(line, start []byte) bool {
	return len(line) >= len(start) && bytes.EqualFold(line[:len(start)], start)
}

// status of an answer; 0 if it is none.
func (h head) status() int {
	if len(h.first) < 12 {
		return 0
	}
	status, _ := strconv.Atoi(string(h.first[9:12]))
	return status
}
