package main

import (
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// errQueueFull means that more messages wait than could be judged in time.
var errQueueFull = errors.New("too many requests are waiting for inspection")

// cores is the number of cores that the agent may use, as Go determines it at startup, including a container's limit
// and GOMAXPROCS.
var cores = runtime.GOMAXPROCS(0)

// spreadOut gives Go more threads than cores. Go's scheduler lets a long inspection run for 10 ms before others get a
// turn, while the kernel schedules a waking thread at once. Measured with 16 connections of large bodies: the median of
// small requests stays that of an idle agent, instead of 20 ms.
func spreadOut() { runtime.GOMAXPROCS(2 * cores) }

const (
	// inspectionsPerCore exceeds one so that a long inspection does not block all short ones.
	inspectionsPerCore = 4
	// largeMessage is the size in bytes, of everything that is inspected, from which an inspection takes many
	// milliseconds. If such messages could use every slot, nothing would be left for others.
	largeMessage = 8 << 10
	// Limits of the queue: messages, and their total bytes. Half of each is a single client's limit.
	waitingMessages = 1024
	waitingBytes    = 256 << 20
)

// admission decides which message is judged next. Inspections are CPU-bound, so running more of them than there are
// cores gains nothing. Two shares are limited: that of one client, and that of large messages. Neither can take all
// slots. Otherwise it is first come, first served.
type admission struct {
	cores   int
	slots   int
	mutex   sync.Mutex
	running share
	clients map[netip.Prefix]*clientLoad
	waiting []*ticket
	bytes   int          // of the queue
	busy    atomic.Int32 // running inspections, readable without the mutex
}

// share counts inspections.
type share struct{ all, large int }

// clientLoad is a client's share.
type clientLoad struct{ running, waiting, bytes int }

// ticket is a message's place in the queue.
type ticket struct {
	client   netip.Prefix
	size     int
	admitted chan struct{}
}

func newAdmission(cores int) *admission {
	return &admission{cores: cores, slots: inspectionsPerCore * cores, clients: map[netip.Prefix]*clientLoad{}}
}

// clientOf returns the client to whom a message is attributed. An IPv6 client is a /64 network.
func clientOf(address netip.Addr) netip.Prefix {
	bits := 32
	if address = address.Unmap(); address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}

func (t *ticket) large() bool { return t.size > largeMessage }

// enter waits for a slot, which the caller must release by `leave`. Returns errQueueFull at once, errLate at the
// deadline.
func (a *admission) enter(message Message, deadline time.Time) (*ticket, error) {
	t := &ticket{client: clientOf(message.SourceAddress), size: message.size(), admitted: make(chan struct{})}
	if err := a.queue(t); err != nil {
		return nil, err
	}
	select {
	case <-t.admitted: // the common case needs no timer
		return t, nil
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-t.admitted:
		return t, nil
	case <-timer.C:
	}
	if a.withdraw(t) {
		return nil, errLate
	}
	return t, nil // it was admitted at the same moment
}

// queue admits the ticket at once, or appends it to the queue if there is room.
func (a *admission) queue(t *ticket) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	client := a.clients[t.client]
	if client == nil {
		client = &clientLoad{}
		a.clients[t.client] = client
	}
	if a.fits(t) {
		a.admit(t)
		return nil
	}
	if client.waiting >= waitingMessages/2 || client.bytes+t.size > waitingBytes/2 ||
		len(a.waiting) >= waitingMessages || a.bytes+t.size > waitingBytes {
		a.forget(t.client)
		return errQueueFull
	}
	a.waiting = append(a.waiting, t)
	a.bytes += t.size
	client.waiting++
	client.bytes += t.size
	return nil
}

func (a *admission) fits(t *ticket) bool {
	return a.running.all < a.slots && a.clients[t.client].running < a.cores && (!t.large() || a.running.large < a.cores)
}

func (a *admission) admit(t *ticket) {
	a.running.all++
	a.busy.Add(1)
	if t.large() {
		a.running.large++
	}
	a.clients[t.client].running++
	close(t.admitted)
}

// leave releases the slot and admits whoever may run now.
func (a *admission) leave(t *ticket) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.running.all--
	a.busy.Add(-1)
	if t.large() {
		a.running.large--
	}
	a.clients[t.client].running--
	a.forget(t.client)
	for at := 0; at < len(a.waiting) && a.running.all < a.slots; {
		if next := a.waiting[at]; a.fits(next) {
			a.unqueue(at)
			a.admit(next)
		} else {
			at++
		}
	}
}

// withdraw removes a ticket from the queue. False if it was admitted.
func (a *admission) withdraw(t *ticket) bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	at := slices.Index(a.waiting, t)
	if at < 0 {
		return false
	}
	a.unqueue(at)
	a.forget(t.client)
	return true
}

func (a *admission) unqueue(at int) {
	t := a.waiting[at]
	a.waiting = slices.Delete(a.waiting, at, at+1)
	a.bytes -= t.size
	client := a.clients[t.client]
	client.waiting--
	client.bytes -= t.size
}

// forget drops a client without messages, so that the map does not grow with every client.
func (a *admission) forget(client netip.Prefix) {
	if *a.clients[client] == (clientLoad{}) {
		delete(a.clients, client)
	}
}

// depth returns how many wait and how many run, for the metrics.
func (a *admission) depth() (waiting, bytes, running int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return len(a.waiting), a.bytes, a.running.all
}
