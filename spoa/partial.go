package main

import "unicode/utf8"

// withoutCutLetter is the beginning of a body without the bytes of a letter in UTF-8 that is not all there.
func withoutCutLetter(body []byte) []byte {
	for at := max(0, len(body)-utf8.UTFMax+1); at < len(body); at++ {
		if utf8.RuneStart(body[at]) && !utf8.FullRune(body[at:]) {
			return body[:at]
		}
	}
	return body
}

// closedJSON ends the text, the value, and every list and object that the beginning of a JSON body (RFC 8259) leaves open, so
// that what is there of the last value is read, too. A number or word that might have gone on becomes null.
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

// jsonScan follows a JSON text byte by byte; it judges nothing.
type jsonScan struct {
	open   []byte // lists and objects, from the outside
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

// end is how many bytes stay.
func (s *jsonScan) end(body string) int {
	switch {
	case s.inText && s.escape > 0:
		return s.escape - 1
	case s.inText:
		return len(body)
	}
	return s.whole
}

// missing is what a text or a name without its value lacks.
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
