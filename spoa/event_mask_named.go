package main

import (
	"net/url"
	"strings"
)

// assigned finds the values that follow masked names. One that begins in a JSON string ends in it: what remains of the
// document is JSON, so that it can be evaluated again.
func (m *mask) assigned(text string) []span {
	var values []span
	isDocument, inside := startsJSON(text), 0 // up to where a JSON string reaches
	for at := 0; at < len(text); at++ {
		var value span
		var is bool
		switch text[at] {
		case '"':
			if isDocument && at > inside && opensJSON(text[:at]) {
				inside = stringEnd(text, at+1)
			}
		case '=':
			if value, is = m.attribute(text, at); !is {
				value, is = m.equals(text, at)
			}
		case ':':
			value, is = m.member(text, at)
		case '<':
			value, is = m.element(text, at)
		}
		if value.from < inside {
			value.to = min(value.to, inside)
		}
		if is && value.to > value.from {
			values = append(values, value)
			at = value.to - 1
		}
	}
	return values
}

// equals handles `name=value`, and the multipart field `name="field"`, whose value follows below.
func (m *mask) equals(text string, at int) (span, bool) {
	from := at
	for from > 0 && at-from < 128 && isNameByte(text[from-1]) {
		from--
	}
	name, err := url.QueryUnescape(text[from:at])
	if err != nil {
		name = text[from:at]
	}
	value := text[at+1:]
	quoted := strings.HasPrefix(value, `"`)
	if quoted && strings.EqualFold(name, "name") && isPartHeader(text[:from]) {
		field, _, closed := strings.Cut(value[1:], `"`)
		return m.part(text, at+len(field)+2), closed && m.hides(field)
	}
	if !m.hides(name) {
		return span{}, false
	}
	return span{at + 1, at + 1 + end(value, "&\n\r")}, true
}

// attribute handles XML's `<… name = "value"`, with either kind of quotes, whatever is in between.
func (m *mask) attribute(text string, at int) (span, bool) {
	value := strings.TrimLeft(text[at+1:], xmlSpace)
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return span{}, false
	}
	before := strings.TrimRight(text[max(0, at-160):at], xmlSpace)
	from := len(before)
	for from > 0 && isNameByte(before[from-1]) {
		from--
	}
	if from == 0 || strings.IndexByte(xmlSpace, before[from-1]) < 0 || !m.hides(before[from:]) {
		return span{}, false
	}
	start := len(text) - len(value)
	return span{start, min(len(text), start+1+end(value[1:], value[:1])+1)}, true
}

const xmlSpace = " \t\r\n"

func isNameByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || strings.IndexByte("_.-[]%+:", b) >= 0 || b >= 0x80
}

// longestPartHeaders is how far back a part's Content-Disposition is looked for.
const longestPartHeaders = 1 << 10

// isPartHeader reports whether a text ends in a part's headers, in which Content-Disposition may continue on any number of
// lines. HTML in a field has inputs with a name, too, but after a blank line.
func isPartHeader(before string) bool {
	before = before[max(0, len(before)-longestPartHeaders):]
	for _, blank := range []string{"\r\n\r\n", "\n\n"} {
		before = before[strings.LastIndex(before, blank)+1:]
	}
	return strings.Contains(lower(before), "content-disposition")
}

// part returns the content of a multipart field whose headers continue at `from`.
func (m *mask) part(text string, from int) span {
	for _, blank := range []string{"\r\n\r\n", "\n\n"} {
		if found := strings.Index(text[from:], blank); found >= 0 {
			start := from + found + len(blank)
			content, _, _ := strings.Cut(text[start:], "\n--")
			return span{start, start + len(strings.TrimSuffix(content, "\r"))}
		}
	}
	return span{from, from}
}

// element handles XML's `<name …>value</name>`.
func (m *mask) element(text string, at int) (span, bool) {
	length := 0
	for length < 128 && at+1+length < len(text) && isNameByte(text[at+1+length]) {
		length++
	}
	name := text[at+1 : at+1+length]
	if !m.hides(name) {
		return span{}, false
	}
	open := strings.IndexByte(text[at:], '>')
	if open < 0 {
		return span{}, false
	}
	start := at + open + 1
	if stop := strings.Index(text[start:], "</"+name); stop >= 0 {
		return span{start, start + stop}, true
	}
	return span{start, len(text)}, true
}

func end(text, stops string) int {
	if at := strings.IndexAny(text, stops); at >= 0 {
		return at
	}
	return len(text)
}
