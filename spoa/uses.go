package main

import (
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/corazawaf/coraza/v3/types"
)

// usesEvery is how often uses of rule exclusions are written beside events.
const usesEvery = time.Minute

// taggedExclusion finds the rule of an exclusion, with the exclusion's number: the panel renders
// `id:110000,…,tag:'guardpanel/exclusion/17'`.
var taggedExclusion = regexp.MustCompile(`"id:(\d+),[^"\n]*tag:'guardpanel/exclusion/(\d+)'`)

// use counts the requests that met the conditions of one exclusion since they were last written.
type use struct {
	requests atomic.Int64
	last     atomic.Int64 // seconds since 1970
}

// uses are those of all applications, by exclusion: a count outlives the application that it was counted in.
type uses struct {
	mutex sync.Mutex
	by    map[int]*use
}

// of gives the counters of a rule set, by the rules that count them; nil where it has no exclusions.
func (u *uses) of(directives string) map[int]*use {
	var counters map[int]*use
	for _, match := range taggedExclusion.FindAllStringSubmatch(directives, -1) {
		rule, _ := strconv.Atoi(match[1])
		exclusion, _ := strconv.Atoi(match[2])
		if counters == nil {
			counters = map[int]*use{}
		}
		counters[rule] = u.at(exclusion)
	}
	return counters
}

func (u *uses) at(exclusion int) *use {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.by == nil {
		u.by = map[int]*use{}
	}
	if u.by[exclusion] == nil {
		u.by[exclusion] = &use{}
	}
	return u.by[exclusion]
}

// countUses counts a visitor's request for each exclusion whose conditions it met. An exclusion of many fields has several
// rules: it counts once.
func (a *Application) countUses(message Message, matched []types.MatchedRule) {
	if len(a.uses) == 0 || message.Probe {
		return
	}
	var counted *use
	for _, rule := range matched {
		if counter := a.uses[rule.Rule().ID()]; counter != nil && counter != counted {
			counter.requests.Add(1)
			counter.last.Store(time.Now().Unix())
			counted = counter
		}
	}
}

// observedBy says who keeps the application's events, and counts uses of its exclusions.
func (a *Application) observedBy(events *Events) {
	if a.events = events; events != nil {
		a.uses = events.uses.of(a.Config.Directives)
	}
}

// appendJSON writes what was counted since the last time as one line, and begins anew; nothing where there is no exclusion.
func (u *uses) appendJSON(b []byte, now time.Time) []byte {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if len(u.by) == 0 {
		return b
	}
	b = append(b, `{"v":1,"uses":[`...)
	begun := len(b)
	for exclusion, counter := range u.by {
		requests := counter.requests.Swap(0)
		if requests == 0 {
			continue
		}
		if len(b) > begun {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(exclusion), 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, requests, 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, counter.last.Load(), 10)
		b = append(b, ']')
	}
	b = append(b, `],"time":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	return append(b, '"', '}', '\n')
}
