package main

import "unicode/utf8"

// withoutCutLetter removes an incomplete UTF-8 character from the end of a truncated body.
func withoutCutLetter(body []byte) []byte {
	for at := max(0, len(body)-utf8.UTFMax+1); at < len(body); at++ {
		if utf8.RuneStart(body[at]) && !utf8.FullRune(body[at:]) {
			return body[:at]
		}
	}
	return body
}

// closedJSON completes a truncated JSON body (RFC 8259) by closing its text, value, lists and objects, so that the
// beginning of the last value is inspected, too. An incomplete number or word becomes null.
func closedJSON(body string) string {
	scan := jsonScan{}
	for at := range len(body) {
		scan.take(at, body[at])
	}
	closed := append([]byte(body[:scan.end(body)]), scan.missing()...)
	for at := len(scan.open) - 1; at >= 0; at-- {
		closed = append(closed, scan.open[at]+2) // in ASCII '[' and ']', '{' and '}' are two apart
	}
	return string(closed)
}

// jsonScan follows a JSON text byte by byte, without validating it.
type jsonScan struct {
	open   []byte // open lists and objects, outermost first
	before byte   // what stands before the end that it knows: a bracket, `:`, or `"` at the end of a text
	whole  int    // the bytes until there
	isName bool   // the last text is a name
	inText bool
	escape int // where a `\` of the text begins whose character is not complete, and one
}

func (s *jsonScan) take(at int, letter byte) {
	if s.inText {
		s.takeText(at, letter)
		return
	}
	switch letter {
	case '"':
		s.inText = true
		s.isName = len(s.open) > 0 && s.open[len(s.open)-1] == '{' && s.before != ':'
	case '{', '[':
		s.open = append(s.open, letter)
		s.ends(at+1, letter)
	case '}', ']':
		s.open = s.open[:max(0, len(s.open)-1)]
		s.ends(at+1, letter)
	case ':':
		s.ends(at+1, letter)
	case ',':
		s.ends(at, letter)
	}
}

func (s *jsonScan) takeText(at int, letter byte) {
	switch {
	case s.escape > 0:
		if at == s.escape && letter == 'u' || at > s.escape && at < s.escape+4 {
			return
		}
		s.escape = 0
	case letter == '\\':
		s.escape = at + 1
	case letter == '"':
		s.inText = false
		s.ends(at+1, letter)
	}
}

func (s *jsonScan) ends(at int, letter byte) {
	s.whole, s.before = at, letter
}

// end returns the number of bytes to keep.
func (s *jsonScan) end(body string) int {
	switch {
	case s.inText && s.escape > 0:
		return s.escape - 1
	case s.inText:
		return len(body)
	}
	return s.whole
}

// missing returns what completes a text or a name without a value.
func (s *jsonScan) missing() string {
	switch {
	case s.inText && s.isName:
		return `":null`
	case s.inText:
		return `"`
	case s.before == '"' && s.isName:
		return ":null"
	case s.before == ':' || s.whole == 0:
		return "null"
	}
	return ""
}
