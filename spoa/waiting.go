package main

import (
	"sync"
	"time"

	"github.com/corazawaf/coraza/v3/types"
)

// waiting keeps the transactions of requests until their responses come, or until they are too old: HAProxy may have
// answered itself, and then no response ever comes.
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
}

func newWaiting(application *Application, ttl time.Duration) *waiting {
	w := &waiting{
		application: application, ttl: ttl, stopped: make(chan struct{}), transactions: map[string]waited{},
	}
	go w.sweep()
	return w
}

// keep takes a transaction, and its share of the application, until `take` or the sweep.
func (w *waiting) keep(id string, transaction types.Transaction) {
	w.mutex.Lock()
	old, doubled := w.transactions[id]
	w.transactions[id] = waited{transaction, time.Now()}
	w.mutex.Unlock()
	if doubled {
		w.end(old.transaction)
	}
}

func (w *waiting) take(id string) (types.Transaction, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	found, ok := w.transactions[id]
	delete(w.transactions, id)
	return found.transaction, ok
}

func (w *waiting) sweep() {
	ticker := time.NewTicker(min(w.ttl, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-w.stopped:
			return
		case now := <-ticker.C:
			for _, transaction := range w.olderThan(now.Add(-w.ttl)) {
				w.end(transaction)
			}
		}
	}
}

func (w *waiting) olderThan(limit time.Time) []types.Transaction {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var old []types.Transaction
	for id, one := range w.transactions {
		if one.since.Before(limit) {
			old = append(old, one.transaction)
			delete(w.transactions, id)
		}
	}
	return old
}

// end is called by the sweep too, where nobody else would catch a panic.
func (w *waiting) end(transaction types.Transaction) {
	defer w.application.leave()
	defer func() {
		if what := recover(); what != nil {
			limited.report("panic at the end of a transaction", "what", what)
		}
	}()
	finish(transaction)
}

func (w *waiting) stop() { close(w.stopped) }
