package main

import (
	"strconv"
	"strings"
)

// eventVersion is the format version of the lines. Readers reject others.
const eventVersion = 1

// crsOfEvents is the version of CRS whose rules an event names: their numbers and words change with it.
var crsOfEvents = crsVersion()

// appendJSON writes the event as a line (docs/events.md), with the names in the policy's list masked.
func (e *Event) appendJSON(b []byte) []byte {
	o := object{b: append(b, '{')}
	o.number("v", eventVersion)
	o.text("time", e.time.Format("2006-01-02T15:04:05.000000Z07:00"))
	o.text("id", e.message.ID)
	o.text("application", e.message.Application)
	o.text("crs", crsOfEvents)
	e.appendVerdict(&o)
	e.appendRequest(&o)
	e.appendRules(&o)
	return append(o.b, '}', '\n')
}

func (e *Event) appendVerdict(o *object) {
	o.text("phase", e.phase)
	if stop := e.verdict.Interruption; stop != nil {
		o.text("verdict", "blocked")
		o.text("action", stop.Action)
		o.number("status", stop.Status)
		o.number("rule", stop.RuleID)
	} else {
		o.text("verdict", "detected")
	}
	if e.answer != 0 {
		o.number("response_status", e.answer)
	}
	o.open("scores", '{')
	for _, one := range e.scores {
		o.key(one.name)
		o.b = append(o.b, one.value...)
	}
	o.close('}')
}

func (e *Event) appendRequest(o *object) {
	message := e.message
	o.text("client", message.SourceAddress.String())
	o.number("client_port", message.SourcePort)
	o.text("method", message.Method)
	e.bounded(o, "uri", target(message), longestURI)
	o.text("version", message.Version)
	e.appendHeaders(o)
	o.number("body_bytes", e.bytes)
	if e.unread {
		o.flag("body_unread")
	}
	if len(message.Body) > 0 {
		e.bounded(o, "body", string(message.Body), longestBody)
	}
}

func (e *Event) appendHeaders(o *object) {
	host, left, cut := "", longestHeaders, false
	o.open("headers", '[')
	eachHeader(e.message.Headers, func(name, value string) {
		if strings.EqualFold(name, "host") {
			host = value
		}
		if e.mask.hides(name) {
			value = masked
		} else {
			value = e.mask.text(value, e.secrets)
		}
		if left -= len(name) + len(value); left < 0 {
			cut = true
			return
		}
		o.b = append(o.separated(), '[')
		o.b = append(appendText(o.b, name), ',')
		o.b = append(appendText(o.b, value), ']')
	})
	o.close(']')
	if cut {
		o.flag("headers_cut")
	}
	o.text("host", clip(host, longestValue))
}

func (e *Event) appendRules(o *object) {
	o.open("rules", '[')
	for _, fired := range e.rules {
		o.b = append(o.separated(), '{')
		o.started = false
		e.appendRule(o, fired)
		o.close('}')
	}
	o.close(']')
	if e.cut > 0 {
		o.number("rules_cut", e.cut)
	}
}

func (e *Event) appendRule(o *object, fired firedRule) {
	o.number("id", fired.rule.ID())
	o.number("phase", int(fired.rule.Phase()))
	o.text("severity", fired.rule.Severity().String())
	if fired.level != "" {
		o.text("paranoia_level", fired.level)
	}
	e.bounded(o, "message", fired.message, longestValue)
	e.bounded(o, "data", fired.data, longestValue)
	o.open("tags", '[')
	for _, tag := range fired.rule.Tags() {
		o.b = appendText(o.separated(), tag)
	}
	o.close(']')
	if fired.disrupts {
		o.flag("disrupts")
	}
	o.open("matches", '[')
	for _, one := range fired.matches {
		o.b = append(o.separated(), '{')
		o.started = false
		o.text("variable", one.variable)
		e.bounded(o, "key", one.key, longestValue)
		e.bounded(o, "value", one.value, longestValue)
		if one.chain > 0 {
			o.number("chain", one.chain)
		}
		o.number("bytes", one.bytes)
		o.close('}')
	}
	o.close(']')
	if fired.cut > 0 {
		o.number("matches_cut", fired.cut)
	}
}

// bounded masks a text, then truncates it and adds that fact.
func (e *Event) bounded(o *object, key, text string, length int) {
	shown := e.mask.text(text, e.secrets)
	if max(len(text), len(shown)) > length {
		shown = shown[:min(len(shown), length)]
		o.flag(key + "_cut")
	}
	o.text(key, shown)
}

// object appends the members of JSON objects and lists.
type object struct {
	b       []byte
	started bool
}

// separated appends a comma if something precedes.
func (o *object) separated() []byte {
	if o.started {
		o.b = append(o.b, ',')
	}
	o.started = true
	return o.b
}

func (o *object) key(name string)           { o.b = append(appendText(o.separated(), name), ':') }
func (o *object) text(name, value string)   { o.key(name); o.b = appendText(o.b, value) }
func (o *object) number(name string, n int) { o.key(name); o.b = strconv.AppendInt(o.b, int64(n), 10) }
func (o *object) flag(name string)          { o.key(name); o.b = append(o.b, "true"...) }

func (o *object) open(name string, bracket byte) {
	o.key(name)
	o.b, o.started = append(o.b, bracket), false
}

func (o *object) close(bracket byte) { o.b, o.started = append(o.b, bracket), true }
