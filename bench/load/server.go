package main

import (
	"bufio"
	"log"
	"net"
)

var page = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n\r\na page of a server behind HAProxy\n")

// serve starts what stands behind HAProxy; gives its port.
func serve() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go answerAll(connection)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

// answerAll reads requests and nothing of what they say.
func answerAll(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	reader := bufio.NewReaderSize(connection, 64<<10)
	for {
		received, err := readHead(reader)
		if err != nil {
			return
		}
		if _, err := reader.Discard(received.length); err != nil {
			return
		}
		if _, err := connection.Write(page); err != nil {
			return
		}
	}
}
