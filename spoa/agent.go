package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	drainPatience = 10 * time.Second
	// judgingTime is the time from a message's arrival to its answer. It must be below HAProxy's `timeout processing`,
	// which is 5 s in guardpanel's configuration (config_templates/haproxy/coraza.cfg.j2), by more than the longest
	// evaluation of one rule on one value, which cannot be interrupted.
	judgingTime = 4 * time.Second
)

// Agent combines the applications, the listener for HAProxy and the control socket.
type Agent struct {
	path         string
	started      time.Time
	applications Applications
	metrics      *Metrics
	admission    *admission
	patience     time.Duration // from a message's arrival to its answer
	evaluating   time.Duration // processor time of an evaluation
	evaluations  chan struct{} // a slot per concurrent evaluation
	replays      *replays

	reloading sync.Mutex
	config    atomic.Pointer[Config] // readable without the lock: status must respond during a long reload

	server   *Server
	controls *http.Server
}

// newAgent compiles every application in the configuration file. Events are written to a directory; "" for none.
func newAgent(path, events string) (*Agent, error) {
	config, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	if err := startLog(config); err != nil {
		return nil, err
	}
	agent := &Agent{
		path: path, started: time.Now(),
		admission: newAdmission(cores), patience: judgingTime,
		evaluating: evaluationTime, evaluations: make(chan struct{}, evaluationsAtOnce),
	}
	agent.replays = newReplays(cores)
	agent.config.Store(config)
	agent.metrics = newMetrics(&agent.applications, agent.admission)
	if events != "" {
		agent.applications.events = startEvents(events, defaultLimits, newEventMetrics(agent.metrics.registry))
	}
	outcome, problems := agent.applications.load(config)
	if len(problems) > 0 {
		return nil, refusal(problems)
	}
	agent.metrics.compiled(outcome)
	return agent, nil
}

// listen opens the listener for HAProxy and the control socket, and serves both.
func (a *Agent) listen(control string) error {
	network, address, err := a.config.Load().address()
	if err != nil {
		return err
	}
	listener, err := open(network, address)
	if err != nil {
		return err
	}
	if control != "" {
		controls, err := open("unix", control)
		if err != nil {
			_ = listener.Close()
			return err
		}
		a.controls = &http.Server{Handler: a.control(), ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = a.controls.Serve(controls) }()
	}
	a.server = newServer(listener, a.answer)
	go a.server.serve()
	return nil
}

// open listens. It replaces the socket of a dead agent, on which nobody listens, and nothing else.
func open(network, address string) (net.Listener, error) {
	if network != "unix" {
		return net.Listen(network, address)
	}
	client, err := net.DialTimeout("unix", address, time.Second)
	switch {
	case err == nil:
		_ = client.Close()
		return nil, fmt.Errorf("another process is listening on %s", address)
	case errors.Is(err, syscall.ECONNREFUSED) && isSocket(address):
		if err := os.Remove(address); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return listener, os.Chmod(address, 0o600)
}

func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().Type() == fs.ModeSocket
}

// reload reads the file again. If there are problems, nothing changes.
func (a *Agent) reload() (Outcome, []Problem) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	outcome, problems := a.reloadOnce()
	if len(problems) > 0 {
		a.metrics.reloads.WithLabelValues("refused").Inc()
		return Outcome{}, problems
	}
	a.metrics.reloads.WithLabelValues("done").Inc()
	a.metrics.compiled(outcome)
	for _, name := range outcome.Removed {
		if !slices.ContainsFunc(outcome.Added, func(added Added) bool { return added.Name == name }) {
			a.metrics.forget(name)
		}
	}
	return outcome, nil
}

func (a *Agent) reloadOnce() (Outcome, []Problem) {
	config, err := readConfig(a.path)
	if err != nil {
		return Outcome{}, []Problem{{Message: err.Error()}}
	}
	if config.Bind != a.config.Load().Bind {
		return Outcome{}, []Problem{{Message: "bind cannot change in a reload; restart the agent"}}
	}
	outcome, problems := a.applications.load(config)
	if len(problems) > 0 {
		return Outcome{}, problems
	}
	a.config.Store(config)
	outcome.Checksum = config.Checksum
	return outcome, nil
}

// drain accepts no new work and completes what is running. Go removes a socket's file when its listener is closed: not
// later, when the file may be the next agent's.
func (a *Agent) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	a.server.drain(ctx)
	if a.controls != nil {
		_ = a.controls.Shutdown(ctx)
	}
	a.applications.end()
	a.applications.events.close()
}
