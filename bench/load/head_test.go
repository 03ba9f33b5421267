package main

import (
	"bufio"
	"strings"
	"testing"
)

func TestTheHeadOfAnAnswerSaysWhatFollows(t *testing.T) {
	reader := bufio.NewReader(strings.NewReader("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"))

	answer, err := readHead(reader)

	if err != nil || answer.status() != 403 || answer.length != 2 || !answer.closes || reader.Buffered() != 2 {
		t.Errorf("%+v, %v, %d bytes left", answer, err, reader.Buffered())
	}
}

func TestAHeadThatEndsEarlyIsAnError(t *testing.T) {
	for _, text := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"} {
		if _, err := readHead(bufio.NewReader(strings.NewReader(text))); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
