package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
)

// Application is a compiled rule set. It is closed once it is retired and its last transaction has ended.
type Application struct {
	Config   ApplicationConfig
	LoadedAt time.Time
	// Rules is the number of rules in the engine, including markers.
	Rules int

	waf     coraza.WAF
	waiting *waiting
	mask    *mask
	events  *Events // nil if they are not kept
	uses    map[int]*use
	// reservoir is nil if ordinary requests are not recorded.
	reservoir *reservoir
	requests  atomic.Int64
	blocked   atomic.Int64
	errors    atomic.Int64

	mutex   sync.Mutex
	users   int
	retired bool
	closed  bool
}

// compile builds an application. The first one costs 140–190 ms, each further one 15–36 ms. Some directives make Coraza
// panic (SecRuleRemoveByMsg, if a rule has no message), which must not crash a running agent.
func compile(config ApplicationConfig) (application *Application, err error) {
	if err := checkLines(config.Directives); err != nil {
		return nil, err
	}
	defer func() {
		if what := recover(); what != nil {
			application, err = nil, fmt.Errorf("Coraza panicked on this directive: %v", what)
		}
	}()
	settings := coraza.NewWAFConfig().WithRootFS(included).WithDebugLogger(stopwatch{})
	waf, err := coraza.NewWAF(settings.WithDirectives(config.Directives))
	if err != nil {
		return nil, err
	}
	application = &Application{Config: config, LoadedAt: time.Now().UTC(), waf: waf, mask: newMask(config.Directives)}
	application.reservoir = newReservoir(config.Directives)
	if counted, ok := waf.(experimental.WAFWithRules); ok {
		application.Rules = counted.RulesCount()
	}
	if config.ResponseCheck {
		application.waiting = newWaiting(application, time.Duration(config.TransactionTTLMS)*time.Millisecond)
	}
	return application, nil
}

// enter registers a transaction. False if the application is closed.
func (a *Application) enter() bool {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.closed {
		return false
	}
	a.users++
	return true
}

// leave unregisters a transaction, and closes a retired application after its last one.
func (a *Application) leave() {
	a.mutex.Lock()
	a.users--
	last := a.retired && a.users == 0 && !a.closed
	a.closed = a.closed || last
	a.mutex.Unlock()
	if last {
		a.close()
	}
}

// retire closes the application as soon as it is unused.
func (a *Application) retire() {
	a.mutex.Lock()
	a.retired = true
	last := a.users == 0 && !a.closed
	a.closed = a.closed || last
	a.mutex.Unlock()
	if last {
		a.close()
	}
}

// close releases what Coraza caches globally for the rule set: compiled patterns and word lists.
func (a *Application) close() {
	if a.waiting != nil {
		a.waiting.stop()
	}
	if closer, ok := a.waf.(io.Closer); ok {
		_ = closer.Close()
	}
}
