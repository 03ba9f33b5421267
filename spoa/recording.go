package main

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// recordComment begins a line of an application's directives that has it record ordinary requests, `one_in=100 most=240
// days=7`: one in so many that fired no rule, at most so many a day of each host, to be kept so long. Without the line, none is
// recorded.
const recordComment = "# guardpanel-record:"

const (
	// mostRecordedHosts are counted one by one; all others of an application share one count.
	mostRecordedHosts = 1000
	longestRecordBody = 8 << 10
)

// reservoir decides which of an application's ordinary requests are recorded.
type reservoir struct {
	oneIn   int
	days    int // for which a reader may keep them
	anHour  int // a day's share, so that the requests of a busy hour do not stand for the whole day
	mutex   sync.Mutex
	hour    int64
	counted map[string]int
}

// newReservoir is nil where nothing is to be recorded.
func newReservoir(directives string) *reservoir {
	for line := range strings.SplitSeq(directives, "\n") {
		settings, is := strings.CutPrefix(strings.TrimSpace(line), recordComment)
		if !is {
			continue
		}
		oneIn, most, days := setting(settings, "one_in="), setting(settings, "most="), setting(settings, "days=")
		if oneIn > 0 && most > 0 && days > 0 {
			return &reservoir{oneIn: oneIn, days: days, anHour: (most + 23) / 24}
		}
	}
	return nil
}

func setting(settings, name string) int {
	for word := range strings.FieldsSeq(settings) {
		if text, is := strings.CutPrefix(word, name); is {
			number, _ := strconv.Atoi(text)
			return number
		}
	}
	return 0
}

// takes draws lots first: that is all that most requests cost.
func (r *reservoir) takes(message Message, now time.Time) bool {
	if rand.IntN(r.oneIn) != 0 {
		return false
	}
	host := hostOf(message)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if hour := now.Unix() / 3600; hour != r.hour {
		r.hour, r.counted = hour, map[string]int{}
	}
	if _, known := r.counted[host]; !known && len(r.counted) >= mostRecordedHosts {
		host = ""
	}
	if r.counted[host] >= r.anHour {
		return false
	}
	r.counted[strings.Clone(host)]++
	return true
}

func hostOf(message Message) (host string) {
	eachHeader(message.Headers, func(name, value string) {
		if strings.EqualFold(name, "host") {
			host = strings.ToLower(value)
		}
	})
	return clip(host, longestValue)
}

// ordinary is an ordinary request until it is written, masked.
type ordinary struct {
	message Message // its body is an excerpt
	bytes   int     // of the whole body
	time    time.Time
	days    int // for which it may be kept
	masks   *masks
}

// record keeps a request that fired no rule, where the application's turn has come.
func (a *Application) record(request observed) {
	now := time.Now()
	if a.reservoir == nil || !a.reservoir.takes(request.message, now) {
		return
	}
	message := request.message
	message.Application = a.Config.Name
	message.Body = bytes.Clone(message.Body[:min(len(message.Body), longestRecordBody)])
	message.Path, message.Query = clip(message.Path, longestURI), clip(message.Query, longestURI)
	message.Headers = clip(message.Headers, longestHeaders)
	isCut := len(message.Path) == longestURI || len(message.Query) == longestURI || len(message.Headers) == longestHeaders
	if !isCut { // what is not whole could not be judged again
		a.events.put(&ordinary{message, request.bytes, now.UTC(), a.reservoir.days, a.events.masks})
	}
}

func (r *ordinary) weight() int {
	return 1024 + len(r.message.Path) + len(r.message.Query) + len(r.message.Headers) + len(r.message.Body)
}

// appendJSON writes the request as one line (docs/events.md), with every value replaced by one of its shape.
func (r *ordinary) appendJSON(b []byte) []byte {
	message := r.message
	masked := Message{Method: message.Method, Path: r.masks.path(message.Path), Query: r.masks.query(message.Query)}
	o := object{b: append(b, '{')}
	o.number("v", eventVersion)
	o.flag("recorded")
	o.text("time", r.time.Format("2006-01-02T15:04:05.000000Z07:00"))
	o.number("days", r.days)
	o.text("application", message.Application)
	o.text("client_key", r.masks.clientKey(message.SourceAddress))
	o.text("method", message.Method)
	o.text("uri", target(masked))
	o.text("version", message.Version)
	kind := r.appendHeaders(&o)
	o.text("host", hostOf(message))
	o.number("body_bytes", r.bytes)
	if len(message.Body) > 0 {
		o.text("body", r.masks.body(kind, string(message.Body)))
	}
	if message.Partial || len(message.Body) < r.bytes {
		o.flag("partial")
	}
	return append(o.b, '}', '\n')
}

// appendHeaders gives the content type.
func (r *ordinary) appendHeaders(o *object) (kind string) {
	o.open("headers", '[')
	host := hostOf(r.message)
	eachHeader(r.message.Headers, func(name, value string) {
		if strings.EqualFold(name, "content-type") {
			kind = value
		}
		o.b = append(o.separated(), '[')
		o.b = append(appendText(o.b, name), ',')
		o.b = append(appendText(o.b, r.masks.header(name, value, host)), ']')
	})
	o.close(']')
	return kind
}
