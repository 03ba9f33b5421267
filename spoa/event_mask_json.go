package main

import "strings"

// member handles JSON's `"name": value`, also in a JSON document that is a string of another one.
func (m *mask) member(text string, at int) (span, bool) {
	before := strings.TrimRight(text[max(0, at-160):at], jsonSpace)
	if !strings.HasSuffix(before, `"`) {
		return span{}, false
	}
	before = before[:len(before)-1]
	escapes := backslashes(before)
	before = before[:len(before)-escapes]
	if !m.hides(unescaped(before[strings.LastIndexByte(before, '"')+1:])) {
		return span{}, false
	}
	value := strings.TrimLeft(text[at+1:], jsonSpace)
	start := len(text) - len(value)
	return span{start, start + jsonLength(value, nesting(escapes))}, true
}

// jsonLength returns the length of the value that a text begins with, in a document within so many others. It ends where
// the string of an outer document does. A truncated one extends to the end.
func jsonLength(text string, depth int) int {
	brackets, inside, escapes := 0, false, 0
	for at := 0; at < len(text); at++ {
		switch b := text[at]; {
		case b == '\\':
			escapes++
			continue
		case b == '"':
			quote := quoteAt(escapes, depth)
			if quote == outerQuote {
				return at
			}
			if quote == ownQuote {
				inside = !inside
			}
			if quote == ownQuote && !inside && brackets == 0 {
				return at + 1
			}
		case inside:
		case b == '{' || b == '[':
			brackets++
		case (b == '}' || b == ']') && brackets > 0:
			brackets--
			if brackets == 0 {
				return at + 1
			}
		case brackets == 0 && strings.IndexByte(",}] \t\r\n", b) >= 0:
			return at
		}
		escapes = 0
	}
	return len(text)
}

const (
	ownQuote = iota
	escapedQuote
	outerQuote
)

// quoteAt says what a quote after so many backslashes is to a document within so many others: each of these has halved
// them and taken one.
func quoteAt(escapes, depth int) int {
	for range depth {
		if escapes%2 == 0 {
			return outerQuote
		}
		escapes /= 2
	}
	if escapes%2 == 1 {
		return escapedQuote
	}
	return ownQuote
}

// nesting returns within how many documents a string begins whose quote follows so many backslashes.
func nesting(escapes int) int {
	depth := 0
	for ; escapes%2 == 1; escapes /= 2 {
		depth++
	}
	return depth
}

func backslashes(text string) int { return len(text) - len(strings.TrimRight(text, `\`)) }

func startsJSON(text string) bool {
	trimmed := strings.TrimLeft(text, jsonSpace)
	return trimmed != "" && (trimmed[0] == '{' || trimmed[0] == '[')
}

// opensJSON reports whether a string may begin after this part of a JSON document.
func opensJSON(before string) bool {
	before = strings.TrimRight(before, jsonSpace)
	return before != "" && strings.IndexByte("{[,:", before[len(before)-1]) >= 0
}

// stringEnd returns where the JSON string ends that begins here, at its quote; 0 if what follows is none that JSON allows.
func stringEnd(text string, from int) int {
	for at := from; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			rest := strings.TrimLeft(text[at+1:], jsonSpace)
			if rest == "" || strings.IndexByte(",:}]", rest[0]) >= 0 {
				return at
			}
			return 0
		}
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
