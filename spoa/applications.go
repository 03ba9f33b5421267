package main

import (
	"runtime"
	"sort"
	"sync"
	"time"
)

// Applications is the running set, replaced as a whole: a message sees either the old set or the new one.
type Applications struct {
	mutex sync.RWMutex
	set   map[string]*Application
	// other is the application for unknown names (`default_application`); "" for none.
	other string
	// events receives what the applications observe; nil for nothing.
	events *Events
	// prepared are compiled for the next reload, but do not serve yet.
	prepared map[string]compiled
}

// Outcome is the result of a reload.
type Outcome struct {
	Kept     []string `json:"kept"`
	Added    []Added  `json:"added"`
	Removed  []string `json:"removed"`
	Seconds  float64  `json:"seconds"`
	Checksum string   `json:"config_checksum"`
}

// Added is a new application and its compile time.
type Added struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// enter finds an application and registers the caller, who must `leave` it.
func (a *Applications) enter(name string) (*Application, bool) {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	application, found := a.set[name]
	if !found {
		application, found = a.set[a.other]
	}
	return application, found && application.enter()
}

// named finds exactly this application, like `enter`.
func (a *Applications) named(name string) (*Application, bool) {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	application, found := a.set[name]
	if !found || !application.enter() {
		return nil, false
	}
	return application, true
}

func (a *Applications) all() []*Application {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	list := make([]*Application, 0, len(a.set))
	for _, application := range a.set {
		list = append(list, application)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Config.Name < list[j].Config.Name })
	return list
}

// load compiles what is new next to the running set and swaps once. If there are problems, nothing changes.
func (a *Applications) load(config *Config) (Outcome, []Problem) {
	began := time.Now()
	outcome := Outcome{Kept: []string{}, Added: []Added{}, Removed: []string{}}
	next := map[string]*Application{}
	var fresh []ApplicationConfig
	a.mutex.RLock()
	for _, wanted := range config.Applications {
		if running, found := a.set[wanted.Name]; found && running.Config.same(wanted) {
			next[wanted.Name] = running
			outcome.Kept = append(outcome.Kept, wanted.Name)
		} else {
			fresh = append(fresh, wanted)
		}
	}
	a.mutex.RUnlock()
	built, problems := a.build(fresh)
	if len(problems) > 0 {
		for _, one := range built {
			one.application.retire()
		}
		return Outcome{}, problems
	}
	for _, one := range built {
		one.application.observedBy(a.events)
		next[one.application.Config.Name] = one.application
		outcome.Added = append(outcome.Added, Added{one.application.Config.Name, one.seconds})
	}
	for _, old := range a.swap(next, config.DefaultApplication) {
		outcome.Removed = append(outcome.Removed, old.Config.Name)
		old.retire()
	}
	sort.Strings(outcome.Removed)
	outcome.Seconds = time.Since(began).Seconds()
	return outcome, nil
}

// swap installs the new set and returns the applications that it no longer contains.
func (a *Applications) swap(next map[string]*Application, other string) []*Application {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	var gone []*Application
	for name, old := range a.set {
		if next[name] != old {
			gone = append(gone, old)
		}
	}
	a.set, a.other = next, other
	return gone
}

// end closes every application when its last transaction ends, and ends those that wait for a response.
func (a *Applications) end() {
	a.replacePrepared(nil)
	for _, old := range a.swap(nil, "") {
		if old.waiting != nil {
			old.waiting.endAll()
		}
		old.retire()
	}
}

type compiled struct {
	application *Application
	seconds     float64
	problem     *Problem
}

// compileAll compiles one application per core concurrently.
func compileAll(configs []ApplicationConfig) ([]compiled, []Problem) {
	results := make([]compiled, len(configs))
	slots := make(chan struct{}, runtime.NumCPU())
	var group sync.WaitGroup
	for at, config := range configs {
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; group.Done() }()
			began := time.Now()
			application, err := compile(config)
			if err != nil {
				results[at].problem = locate(config, err)
				return
			}
			results[at] = compiled{application: application, seconds: time.Since(began).Seconds()}
		}()
	}
	group.Wait()
	var good []compiled
	var problems []Problem
	for _, result := range results {
		if result.problem != nil {
			problems = append(problems, *result.problem)
		} else {
			good = append(good, result)
		}
	}
	return good, problems
}
