package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// startIll starts a server that fails every request, health checks too, until it is asked for /well.
func startIll() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var well atomic.Bool
	server := http.Server{Handler: http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/well" {
			well.Store(true)
		}
		if !well.Load() {
			answer.WriteHeader(http.StatusInternalServerError)
		}
	})}
	go func() { log.Fatal(server.Serve(listener)) }()
	return listener.Addr().(*net.TCPAddr).Port
}

var body = []byte("a page of a server behind HAProxy\n")

// startServers starts what stands behind HAProxy: each names itself by its port, and how much it received.
func startServers(count int) []int {
	ports := make([]int, count)
	for at := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		ports[at] = listener.Addr().(*net.TCPAddr).Port
		name := strconv.Itoa(ports[at])
		server := http.Server{Handler: http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
			received, _ := io.Copy(io.Discard, request.Body)
			answer.Header().Set("Content-Type", "application/octet-stream")
			answer.Header().Set("X-Server", name)
			answer.Header().Set("X-Received", strconv.FormatInt(received, 10))
			_, _ = answer.Write(body)
		})}
		go func() { log.Fatal(server.Serve(listener)) }()
	}
	return ports
}
