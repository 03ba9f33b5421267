package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Server speaks SPOP with HAProxy: one goroutine per connection that reads, and one per message in progress. It has its
// own loop, because haproxy-go's agent does not answer an invalid frame, continues reading after a HAPROXY-DISCONNECT,
// and cannot drain.
type Server struct {
	// answer returns the actions for a NOTIFY's messages. It never fails.
	answer func(messages []byte) (actions []byte)

	mutex       sync.Mutex
	listener    net.Listener
	connections map[*connection]struct{}
	draining    bool
	running     sync.WaitGroup
}

func newServer(listener net.Listener, answer func([]byte) []byte) *Server {
	return &Server{answer: answer, listener: listener, connections: map[*connection]struct{}{}}
}

// serve accepts until `drain`.
func (s *Server) serve() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors: open connections continue, and accepting resumes when some are free.
			limited.report("cannot accept a connection", "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.start(conn)
	}
}

func (s *Server) start(conn net.Conn) {
	c := newConnection(conn, s.answer)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.draining {
		_ = conn.Close()
		return
	}
	s.connections[c] = struct{}{}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		c.serve()
		s.mutex.Lock()
		defer s.mutex.Unlock()
		delete(s.connections, c)
	}()
}

// drain stops accepting, lets every connection answer what it has begun to read, and disconnects. False if some were
// not done in time.
func (s *Server) drain(ctx context.Context) bool {
	_ = s.listener.Close()
	s.mutex.Lock()
	s.draining = true
	for c := range s.connections {
		c.leave()
	}
	s.mutex.Unlock()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for c := range s.connections {
		_ = c.conn.Close()
	}
	slog.Warn("shut down with requests still in progress", "connections", len(s.connections))
	return false
}
