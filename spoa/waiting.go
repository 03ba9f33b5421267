package main

import (
	"sync"
	"time"

	"github.com/corazawaf/coraza/v3/types"
)

// waiting stores the transactions of requests until their responses arrive or they expire: if HAProxy responded itself,
// no response arrives.
type waiting struct {
	application *Application
	ttl         time.Duration
	stopped     chan struct{}

	mutex        sync.Mutex
	transactions map[string]waited
}

type waited struct {
	transaction types.Transaction
	since       time.Time
	observed
}

func newWaiting(application *Application, ttl time.Duration) *waiting {
	w := &waiting{
		application: application, ttl: ttl, stopped: make(chan struct{}), transactions: map[string]waited{},
	}
	go w.sweep()
	return w
}

// keep stores a transaction, with its reference to the application, until `take` or the sweep.
func (w *waiting) keep(id string, transaction types.Transaction, seen observed) {
	if w.application.events != nil {
		seen = seen.excerpt()
	} else {
		seen = observed{}
	}
	w.mutex.Lock()
	old, doubled := w.transactions[id]
	w.transactions[id] = waited{transaction, time.Now(), seen}
	w.mutex.Unlock()
	if doubled {
		w.end(old)
	}
}

func (w *waiting) take(id string) (waited, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	found, ok := w.transactions[id]
	delete(w.transactions, id)
	return found, ok
}

func (w *waiting) sweep() {
	ticker := time.NewTicker(min(w.ttl, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-w.stopped:
			return
		case now := <-ticker.C:
			for _, one := range w.olderThan(now.Add(-w.ttl)) {
				w.end(one)
			}
		}
	}
}

func (w *waiting) olderThan(limit time.Time) []waited {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var old []waited
	for id, one := range w.transactions {
		if one.since.Before(limit) {
			old = append(old, one)
			delete(w.transactions, id)
		}
	}
	return old
}

// end is also called by the sweep, where nothing else would catch a panic.
func (w *waiting) end(one waited) {
	defer w.application.leave()
	defer func() {
		if what := recover(); what != nil {
			limited.report("panic while closing a transaction", "what", what)
		}
	}()
	w.application.observe(one.transaction, one.observed, "request")
	finish(one.transaction)
}

// endAll is called on shutdown: no more responses arrive.
func (w *waiting) endAll() {
	for _, one := range w.olderThan(time.Now().Add(w.ttl)) {
		w.end(one)
	}
}

func (w *waiting) stop() { close(w.stopped) }
