package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/dropmorepackets/haproxy-go/spop"
)

const drainPatience = 10 * time.Second

// Agent is the running whole: applications, the listener for HAProxy and the control socket.
type Agent struct {
	path         string
	started      time.Time
	applications Applications
	metrics      *Metrics
	inFlight     sync.WaitGroup

	reloading sync.Mutex
	config    *Config

	stop    context.CancelFunc
	sockets []string
	server  *http.Server
}

// newAgent compiles every application of the configuration file.
func newAgent(path string) (*Agent, error) {
	config, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	if err := startLog(config); err != nil {
		return nil, err
	}
	agent := &Agent{path: path, started: time.Now(), config: config}
	agent.metrics = newMetrics(&agent.applications)
	if _, problems := agent.applications.load(config.Applications); len(problems) > 0 {
		return nil, fmt.Errorf("application %s, line %d: %s", problems[0].Application, problems[0].Line, problems[0].Message)
	}
	return agent, nil
}

// listen opens the listener for HAProxy and the control socket, and serves both.
func (a *Agent) listen(control string) error {
	network, address, err := a.config.address()
	if err != nil {
		return err
	}
	listener, err := a.open(network, address)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	server := &spop.Agent{Handler: a, BaseContext: ctx}
	go func() {
		if err := server.Serve(politeListener{listener}); err != nil && ctx.Err() == nil {
			slog.Error("the listener for HAProxy ended", "error", err)
		}
	}()
	if control == "" {
		return nil
	}
	controls, err := a.open("unix", control)
	if err != nil {
		return err
	}
	a.server = &http.Server{Handler: a.control(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = a.server.Serve(controls) }()
	return nil
}

// open listens; a socket file that nobody answers on is a dead agent's and is removed.
func (a *Agent) open(network, address string) (net.Listener, error) {
	if network != "unix" {
		return net.Listen(network, address)
	}
	if client, err := net.DialTimeout("unix", address, time.Second); err == nil {
		_ = client.Close()
		return nil, fmt.Errorf("another process answers on %s", address)
	}
	if err := os.Remove(address); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	a.sockets = append(a.sockets, address)
	return listener, os.Chmod(address, 0o600)
}

// reload reads the file again. With problems nothing has changed.
func (a *Agent) reload() (Outcome, []Problem) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	outcome, problems := a.reloadOnce()
	if len(problems) > 0 {
		a.metrics.reloads.WithLabelValues("refused").Inc()
		return Outcome{}, problems
	}
	a.metrics.reloads.WithLabelValues("done").Inc()
	for _, name := range outcome.Removed {
		a.metrics.forget(name)
	}
	return outcome, nil
}

func (a *Agent) reloadOnce() (Outcome, []Problem) {
	config, err := readConfig(a.path)
	if err != nil {
		return Outcome{}, []Problem{{Message: err.Error()}}
	}
	if config.Bind != a.config.Bind {
		return Outcome{}, []Problem{{Message: "bind cannot change in a reload: restart the agent"}}
	}
	outcome, problems := a.applications.load(config.Applications)
	if len(problems) > 0 {
		return Outcome{}, problems
	}
	a.config = config
	outcome.Checksum = config.Checksum
	return outcome, nil
}

func (a *Agent) checksum() string {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	return a.config.Checksum
}

// drain takes no new work, waits for what is under way, and removes the sockets.
func (a *Agent) drain() {
	a.stop()
	done := make(chan struct{})
	go func() { a.inFlight.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainPatience):
		slog.Warn("some requests were still being judged at the end")
	}
	if a.server != nil {
		_ = a.server.Close()
	}
	for _, path := range a.sockets {
		_ = os.Remove(path)
	}
}
