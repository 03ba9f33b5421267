package main

import (
	"iter"
	"strings"
)

// blank may precede the first boundary and follow the closing one.
const blank = " \t\r\n"

// parts gives what stands between boundaries, without the line ends that belong to them. `delimiter` is "--" and the boundary.
//
// A boundary is a line of its own, between CRLFs. Parsers know others: PHP's follows a line feed, Werkzeug's a carriage return,
// PHP reads on after the closing one, and takes what begins like a boundary for the end of a value (main/rfc1867.c). So the
// delimiter anywhere else is a fault; no client sends it there, since it chooses a boundary that is not in its values. A body
// whose lines all end in line feeds, as of small scripts, is read so.
func (f *multipartForm) parts(body, delimiter string) iter.Seq[string] {
	return func(yield func(string) bool) {
		open, at, closed := -1, 0, false // open: where the part that is not ended yet begins
		f.lineEnd = "\r\n"
		if _, after, _ := strings.Cut(body, delimiter); strings.HasPrefix(after, "\n") {
			f.lineEnd = "\n"
		}
		for {
			found := strings.Index(body[at:], delimiter)
			if found < 0 {
				break
			}
			begin := at + found
			at = begin + len(delimiter)
			end, isLine := f.lineBefore(body, begin)
			if !isLine {
				continue // a fault, but the best reading is to continue the part's value
			}
			switch {
			case open > end:
				f.blame("two boundaries in a row")
			case open >= 0 && !yield(body[open:end]):
				return
			case open < 0 && !closed && strings.Trim(body[:end], blank) != "":
				f.blame("text before the first boundary")
			}
			open, closed = f.lineAfter(body, at)
			if closed && strings.Trim(body[at+2:], blank) != "" {
				f.blame("text after the closing boundary")
			}
		}
		if !closed && !f.isCut {
			f.blame("the closing boundary is missing")
		}
		if open >= 0 {
			yield(body[open:])
		}
	}
}

// lineBefore returns the end of the text before a boundary, and whether the boundary begins a line for some parser.
func (f *multipartForm) lineBefore(body string, begin int) (end int, isLine bool) {
	before := body[:begin]
	lineEnd := before[len(strings.TrimRight(before[max(0, begin-2):], "\r\n"))+max(0, begin-2):]
	switch {
	case before == "":
		return 0, true
	case strings.HasSuffix(lineEnd, f.lineEnd) && (f.lineEnd == "\r\n" || lineEnd != "\r\n"):
		return begin - len(f.lineEnd), true
	case lineEnd != "":
		f.blame("boundary after an incomplete line ending")
		return begin - 1, true
	}
	f.blame("boundary in the middle of a line")
	return 0, false
}

// lineAfter returns where the next part begins, -1 for none, and whether the boundary is the closing one.
func (f *multipartForm) lineAfter(body string, at int) (open int, closed bool) {
	rest := body[at:]
	switch {
	case strings.HasPrefix(rest, f.lineEnd):
		return at + len(f.lineEnd), false
	case strings.HasPrefix(rest, "--"):
		return -1, true
	case f.isCut && len(rest) < 2:
		return -1, false
	}
	f.blame("data after a boundary on the same line")
	if line := strings.IndexByte(rest, '\n'); line >= 0 {
		return at + line + 1, false
	}
	return -1, false
}

// divided splits a part after its headers.
func (f *multipartForm) divided(part string) (head, value string) {
	if value, found := strings.CutPrefix(part, f.lineEnd); found {
		f.blame("part without headers") // Werkzeug takes what follows for some
		return "", value
	}
	if f.lineEnd == "\n" && strings.Contains(part, "\r\n\r\n") {
		f.blame("empty line with a different line ending") // Django takes all before it for headers
	}
	if head, value, found := strings.Cut(part, f.lineEnd+f.lineEnd); found {
		return head, value
	}
	// PHP takes a boundary here for the value's first line.
	f.blame("part without an empty line after its headers")
	return part, ""
}
