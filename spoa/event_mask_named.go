package main

import (
	"net/url"
	"strings"
)

// assigned finds the values that follow masked names.
func (m *mask) assigned(text string) []span {
	var values []span
	for at := 0; at < len(text); at++ {
		var value span
		var is bool
		switch text[at] {
		case '=':
			if value, is = m.attribute(text, at); !is {
				value, is = m.equals(text, at)
			}
		case ':':
			value, is = m.member(text, at)
		case '<':
			value, is = m.element(text, at)
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
	if quoted && strings.EqualFold(name, "name") {
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

// part returns the content of a multipart field whose headers continue at `from`.
func (m *mask) part(text string, from int) span {
	for _, blank := range []string{"\r\n\r\n", "\n\n"} {
		if found := strings.Index(text[from:], blank); found >= 0 {
			start := from + found + len(blank)
			rest := text[start:]
			if stop := strings.Index(rest, "\n--"); stop >= 0 {
				return span{start, start + stop}
			}
			return span{start, len(text)}
		}
	}
	return span{from, from}
}

// member handles JSON's `"name": value`.
func (m *mask) member(text string, at int) (span, bool) {
	before := strings.TrimRight(text[max(0, at-160):at], " \t\r\n")
	if !strings.HasSuffix(before, `"`) {
		return span{}, false
	}
	before = before[:len(before)-1]
	if !m.hides(unescaped(before[strings.LastIndexByte(before, '"')+1:])) {
		return span{}, false
	}
	value := strings.TrimLeft(text[at+1:], " \t\r\n")
	start := len(text) - len(value)
	return span{start, start + jsonLength(value)}, true
}

// jsonLength returns the length of the value that a text begins with. A truncated one extends to the end.
func jsonLength(text string) int {
	depth, inside := 0, false
	for at := 0; at < len(text); at++ {
		switch b := text[at]; {
		case inside && b == '\\':
			at++
		case b == '"':
			inside = !inside
			if !inside && depth == 0 {
				return at + 1
			}
		case inside:
		case b == '{' || b == '[':
			depth++
		case (b == '}' || b == ']') && depth > 0:
			depth--
			if depth == 0 {
				return at + 1
			}
		case depth == 0 && strings.IndexByte(",}] \t\r\n", b) >= 0:
			return at
		}
	}
	return len(text)
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

// unescaped decodes the inside of a JSON string.
func unescaped(inside string) string {
	if strings.IndexByte(inside, '\\') < 0 {
		return inside
	}
	return unquoteJSON(inside)
}
