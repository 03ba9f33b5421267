package main

import "strings"

// longestBoundary: RFC 2046 allows 70, some clients send more.
const longestBoundary = 200

// boundaryOf reads the Content-Type of the request; "" where there is none that can be used.
//
// The word must stand once, as the name of one parameter: PHP takes what follows the first "boundary" of the header, to the next
// comma, semicolon or quote, spaces and all. A value without quotes that is no token (`----=_Part_1`) is taken as it is,
// as servers do.
func (f *multipartForm) boundaryOf(contentType string) string {
	lower := strings.ToLower(contentType)
	kind, _, _ := strings.Cut(lower, ";")
	if !strings.HasPrefix(strings.TrimSpace(kind), "multipart/") || !isToken(strings.TrimPrefix(strings.TrimSpace(kind), "multipart/")) {
		f.blame("the request's content type is not multipart/form-data")
	}
	f.charset = f.charsetOf(contentType)
	before, _, found := strings.Cut(lower, "boundary")
	if !found {
		f.blame("the request's content type has no boundary")
		return ""
	}
	if !strings.HasSuffix(strings.TrimRight(before, " \t"), ";") {
		f.blame("the request's content type has the boundary in an unusual place")
	}
	value, after := f.boundaryValue(contentType[len(before)+len("boundary"):])
	if strings.Contains(strings.ToLower(after), "boundary") {
		f.blame("the request's content type has several boundaries")
	}
	return value
}

// boundaryValue parses `="value"` or `=value`. Returns the rest.
func (f *multipartForm) boundaryValue(text string) (value, after string) {
	value, isAssigned := strings.CutPrefix(text, "=")
	ends := true
	if strings.HasPrefix(value, `"`) {
		value, after, ends = strings.Cut(value[1:], `"`)
	} else if end := strings.IndexByte(value, ';'); end >= 0 {
		value, after = value[:end], value[end:]
	}
	isEnd := strings.Trim(after, " \t") == "" || strings.HasPrefix(strings.TrimLeft(after, " \t"), ";")
	if !isAssigned || !ends || !isEnd || value == "" || len(value) > longestBoundary || strings.ContainsFunc(value, isNoBoundary) {
		f.blame("the request's content type has a boundary that parsers read differently")
	}
	return strings.Trim(value, " \t"), after
}

// isNoBoundary: characters at which some parser ends the boundary.
func isNoBoundary(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`",;\<>`, r) }
