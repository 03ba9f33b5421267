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

// errQueueFull: more wait already than could be judged in time.
var errQueueFull = errors.New("too many requests are waiting for inspection")

// cores are those that the agent may use: as many as Go sees at the start, a container's limit or GOMAXPROCS included.
var cores = runtime.GOMAXPROCS(0)

// spreadOut gives Go more threads than there are cores. Go's scheduler lets a long inspection run for 10 ms before others
// have a turn; the kernel's gives a thread that wakes up one at once. Measured with 16 connections of large bodies: small
// requests' median is that of quiet times, and not 20 ms.
func spreadOut() { runtime.GOMAXPROCS(2 * cores) }

const (
	// inspectionsPerCore is above one so that a long inspection does not hold up all the short ones.
	inspectionsPerCore = 4
	// largeMessage is where an inspection takes so long (many milliseconds) that as many as there are slots would leave
	// nothing for others, in bytes of everything that is looked at.
	largeMessage = 8 << 10
	// Bounds of what waits: that many messages, and the bytes of them all. A client's own share is half of each.
	waitingMessages = 1024
	waitingBytes    = 256 << 20
)

// admission decides who is judged next. Inspections only compute, so that more at once than there are cores gain
// nothing; what is limited to as many as there are cores loses nothing. That is the share of one client, and of large
// messages together: neither leaves the others without a slot. First come, first served among those that may.
type admission struct {
	cores   int
	slots   int
	mutex   sync.Mutex
	running share
	clients map[netip.Prefix]*clientLoad
	waiting []*ticket
	bytes   int          // of what waits
	busy    atomic.Int32 // inspections that run, for those who do not want to wait for the mutex
}

// share counts inspections.
type share struct{ all, large int }

// clientLoad is one client's share.
type clientLoad struct{ running, waiting, bytes int }

// ticket is one message's place.
type ticket struct {
	client   netip.Prefix
	size     int
	admitted chan struct{}
}

func newAdmission(cores int) *admission {
	return &admission{cores: cores, slots: inspectionsPerCore * cores, clients: map[netip.Prefix]*clientLoad{}}
}

// clientOf is whom a message counts for: an IPv6 client has a whole /64.
func clientOf(address netip.Addr) netip.Prefix {
	bits := 32
	if address = address.Unmap(); address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}

func (t *ticket) large() bool { return t.size > largeMessage }

// enter waits for a slot; who has one must `leave`. errQueueFull at once, errLate when the deadline has come.
func (a *admission) enter(message Message, deadline time.Time) (*ticket, error) {
	t := &ticket{client: clientOf(message.SourceAddress), size: message.size(), admitted: make(chan struct{})}
	if err := a.queue(t); err != nil {
		return nil, err
	}
	select {
	case <-t.admitted: // the usual case needs no timer
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
	return t, nil // it was admitted in the same moment
}

// queue admits the ticket at once, or puts it at the end of the queue if there is room.
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

// leave gives the slot back, and admits whoever may run now.
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

// withdraw takes a ticket out of the queue; false if it has been admitted.
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

// forget drops a client of whom nothing is left, so that the map does not grow with the clients of a day.
func (a *admission) forget(client netip.Prefix) {
	if *a.clients[client] == (clientLoad{}) {
		delete(a.clients, client)
	}
}

// depth is what waits and what runs, for the metrics.
func (a *admission) depth() (waiting, bytes, running int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return len(a.waiting), a.bytes, a.running.all
}
