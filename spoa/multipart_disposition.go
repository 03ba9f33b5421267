package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// disposition is a part's Content-Disposition as different parsers read it.
type disposition struct {
	text string
	// isPlain: all parsers that were examined read it alike (PHP, Python's, Node's, Go's).
	isPlain   bool
	given     []string // name=, as RFC 7578 reads it
	filename  string   // filename=
	extended  *extendedValue
	duplicate bool
	// quotedExtended: a quoted filename*, which RFC 5987 does not allow.
	quotedExtended bool
	fault          string // why it must not pass; "" if it may
}

// extendedValue is RFC 5987's: charset'language'percent-encoded. Where it says nothing, or in another charset than RFC 8187's, the
// name is what is written for some parsers (Werkzeug's).
type extendedValue struct{ charset, language, value, written string }

// parameter is a name=value as written. The value is without quotes and their backslashes.
type parameter struct {
	name, value string
	isQuoted    bool
}

func readDisposition(text string) disposition {
	kind, rest, _ := strings.Cut(text, ";")
	d := disposition{text: text, isPlain: strings.EqualFold(strings.Trim(kind, " \t"), "form-data")}
	seen := map[string]bool{}
	for strings.Trim(rest, " \t") != "" {
		var one parameter
		one, rest = d.next(rest)
		d.duplicate = d.duplicate || seen[one.name]
		seen[one.name] = true
		d.take(one)
	}
	return d
}

// next cuts off the first parameter, and notes differences between parsers.
func (d *disposition) next(text string) (parameter, string) {
	name, rest, found := strings.Cut(text, "=")
	if trimmed := strings.TrimLeft(name, " \t"); !found || !isToken(strings.TrimRight(trimmed, " \t")) {
		d.fault = "part parameter that is not name=value"
		return parameter{}, ""
	} else if !isToken(trimmed) {
		d.isPlain = false // PHP knows no parameter `filename `
	}
	value := strings.TrimLeft(rest, " \t")
	d.isPlain = d.isPlain && value == rest
	one := parameter{name: strings.ToLower(strings.Trim(name, " \t"))}
	if !strings.HasPrefix(value, `"`) {
		one.value, rest, _ = strings.Cut(value, ";")
		one.value = strings.Trim(one.value, " \t")
		if !isToken(one.value) && one.value != "" {
			d.fault = "part parameter that needs quotes"
		}
		return one, rest
	}
	one.isQuoted = true
	one.value, rest, found = d.quoted(value[1:])
	after, rest, _ := strings.Cut(rest, ";")
	if !found || strings.Trim(after, " \t") != "" {
		d.fault = "part parameter with unterminated quotes"
	}
	return one, rest
}

// quoted reads up to the closing quote. PHP and Django take a backslash before a quote for an escape whatever stands before it,
// browsers write none, others read pairs of them: then there are several ways to read it.
func (d *disposition) quoted(text string) (value, rest string, found bool) {
	var out strings.Builder
	for at := 0; at < len(text); at++ {
		switch {
		case text[at] == '"':
			return out.String(), text[at+1:], true
		case text[at] == '\\' && at+1 < len(text) && (text[at+1] == '"' || text[at+1] == '\\'):
			at++
			d.isPlain = d.isPlain && text[at] == '\\' && (at+1 == len(text) || text[at+1] != '"')
		}
		out.WriteByte(text[at])
	}
	return out.String(), "", false
}

func (d *disposition) take(one parameter) {
	switch {
	case one.name == "name":
		d.given = append(d.given, one.value)
	case one.name == "filename":
		d.filename = one.value
	case one.name == "filename*":
		d.takeExtended(one)
		return // it has apostrophes of its own
	case strings.HasPrefix(one.name, "name*"), strings.HasPrefix(one.name, "filename*"):
		d.fault = "part parameter that is continued or encoded" // RFC 2231: few parsers put it together
	}
	if !one.isQuoted && strings.Contains(one.value, "'") {
		d.isPlain = false // PHP takes them for quotes
	}
}

// takeExtended reads filename*. A third apostrophe would open a quotation for PHP, in which the next parameters are lost.
func (d *disposition) takeExtended(one parameter) {
	d.quotedExtended = one.isQuoted
	parts := strings.Split(one.value, "'")
	if len(parts) != 3 || one.isQuoted {
		d.fault = "filename* parameter that is not charset'language'value"
		return
	}
	value, err := url.PathUnescape(parts[2])
	if err != nil {
		d.fault = "filename* parameter that is not charset'language'value"
		value = parts[2]
	}
	d.extended = &extendedValue{charset: parts[0], language: parts[1], value: value}
	if value == "" || !strings.EqualFold(parts[0], "utf-8") {
		d.extended.written = one.value
	}
}

// isSurelyFile: every parser sees a file name. PHP and others ignore filename* (and a name in single quotes).
func (d *disposition) isSurelyFile() bool { return d.isPlain && d.fault == "" && d.filename != "" }

func (d *disposition) name() string {
	if len(d.given) > 0 {
		return d.given[0]
	}
	return ""
}

// filenames returns those that any parser takes, filename* first (RFC 7578 §4.2).
func (d *disposition) filenames() []string {
	var all []string
	add := func(name string) {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if d.extended != nil {
		add(d.extended.value)
		add(d.extended.written)
	}
	add(d.filename)
	return all
}

// mostNames per part: each adds a copy of its value for the rules.
const mostNames = 4

var nameIs = regexp.MustCompile(`(?i)(?:^|[^a-z0-9_*-])name[ \t]*=+[ \t]*`)

// names returns the possible names of a field: by RFC 7578, and by other parsers if they differ.
func (d *disposition) names() []string {
	found := []string{d.name()}
	if d.isPlain && d.fault == "" {
		return found
	}
	add := func(name string) {
		if name != "" && !slices.Contains(found, name) && len(found) < mostNames {
			found = append(found, name)
		}
	}
	for _, at := range nameIs.FindAllStringIndex(d.text, mostNames) {
		for _, name := range nameReadings(d.text[at[1]:]) {
			add(name)
		}
	}
	if found[0] == "" && len(found) > 1 {
		return found[1:]
	}
	return found
}

// nameReadings returns what parsers read after `name=`: up to the first quote, or to the first one without a preceding
// backslash.
func nameReadings(text string) []string {
	if text == "" || text[0] != '"' && text[0] != '\'' {
		if end := strings.IndexAny(text, "; \t"); end >= 0 {
			text = text[:end]
		}
		return []string{text}
	}
	quote, text := text[0], text[1:]
	first, _, _ := strings.Cut(text, string(quote))
	end := 0
	for end < len(text) && text[end] != quote {
		if text[end] == '\\' && end+1 < len(text) && text[end+1] == quote {
			end++
		}
		end++
	}
	end = min(end, len(text))
	return []string{first, text[:end], strings.ReplaceAll(text[:end], `\`+string(quote), string(quote))}
}
