package main

import (
	"regexp"
	"strings"
)

const (
	dataStart  = "<![CDATA["
	longestTag = 2 << 10
)

// xmlTag has all of its values in quotes, as XML requires it. Anything else between angle brackets could be what somebody wrote.
var xmlTag = regexp.MustCompile(`^<[/?]?[A-Za-z_][\w.:-]*(?:\s+[A-Za-z_][\w.:-]*\s*=\s*(?:"[^"]*"|'[^']*'))*\s*[/?]?>`)

// xml keeps the names of elements and attributes.
func (m *masks) xml(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		to := at + end(text[at:], "<")
		out.WriteString(m.shape(text[at:to]))
		if at = to; at == len(text) {
			break
		}
		switch rest := text[at:]; {
		case strings.HasPrefix(rest, "<?xml "): // its encoding decides how all is read
			to = at + min(len(rest), end(rest, ">")+1)
			out.WriteString(text[at:to])
		case strings.HasPrefix(rest, "<!--"):
			to = at + m.upTo("-->", rest, &out)
		case strings.HasPrefix(rest, dataStart):
			out.WriteString(dataStart)
			to = at + len(dataStart) + m.upTo("]]>", rest[len(dataStart):], &out)
		default:
			tag := xmlTag.FindString(rest[:min(len(rest), longestTag)])
			out.WriteString(m.tag(tag))
			to = at + len(tag)
			if tag == "" {
				to = at + m.upTo(">", rest, &out)
			}
		}
		at = to
	}
	return out.String()
}

// upTo shapes what is before the sign, and gives its length.
func (m *masks) upTo(sign, text string, out *strings.Builder) int {
	inside, _, _ := strings.Cut(text, sign)
	out.WriteString(m.shape(inside))
	return len(inside)
}

// tag replaces what is in quotes.
func (m *masks) tag(tag string) string {
	var out strings.Builder
	for at := 0; at < len(tag); {
		to := at + end(tag[at:], `"'`)
		out.WriteString(tag[at:to])
		if at = to; at == len(tag) {
			break
		}
		length := end(tag[at+1:], tag[at:at+1])
		value := tag[at+1 : at+1+length]
		if !strings.HasPrefix(value, "http://www.w3.org/") && !strings.HasPrefix(value, "http://schemas.") {
			value = m.shape(value)
		}
		out.WriteString(tag[at:at+1] + value)
		at += 1 + length
		if at < len(tag) {
			out.WriteByte(tag[at])
			at++
		}
	}
	return out.String()
}
