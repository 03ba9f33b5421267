package main

import (
	"slices"
	"strings"
)

// maskComment begins a line of an application's directives that lists what its events must not show. It is a comment to
// Coraza, so that coraza-spoa accepts the same file. The application's name, a hash of the text, covers the list.
const maskComment = "# guardpanel-mask:"

// maskCards in the list stands for numbers that could be payment cards, anywhere.
const maskCards = "@cards"

// defaultMask applies to applications without a list.
const defaultMask = "authorization proxy-authorization cookie set-cookie *password* *passwd* passphrase pass pwd *secret* *token* " +
	"*apikey* *api_key* *api-key* cvc cvv *card_number* *cardnumber* " + maskCards

// masked replaces what is left out of an event.
const masked = "[masked]"

// mask knows the names whose values are left out of an application's events.
type mask struct {
	names []pattern
	cards bool
}

// pattern is a name in lower case. A `*` at either end matches anything.
type pattern struct {
	word       string
	start, end bool // with a `*` at that end
}

func newPattern(text string) pattern {
	return pattern{strings.Trim(text, "*"), strings.HasPrefix(text, "*"), strings.HasSuffix(text, "*")}
}

func (p *pattern) is(name string) bool {
	switch {
	case len(name) < len(p.word):
		return false
	case p.start && p.end:
		return strings.Contains(name, p.word)
	case p.start:
		return strings.HasSuffix(name, p.word)
	case p.end:
		return strings.HasPrefix(name, p.word)
	}
	return name == p.word
}

func newMask(directives string) *mask {
	words, found := []string{}, false
	for line := range strings.SplitSeq(directives, "\n") {
		if list, is := strings.CutPrefix(strings.TrimSpace(line), maskComment); is {
			words, found = append(words, strings.Fields(strings.ToLower(list))...), true
		}
	}
	if !found {
		words = strings.Fields(defaultMask)
	}
	m := &mask{cards: slices.Contains(words, maskCards)}
	for _, word := range words {
		if word != maskCards {
			m.names = append(m.names, newPattern(word))
		}
	}
	return m
}

// hides reports whether a field, header or cookie with this name is masked: `user[password]` and `json.user.password`
// are if `password` is.
func (m *mask) hides(name string) bool {
	if len(m.names) == 0 || name == "" {
		return false
	}
	name = strings.ToLower(name)
	if m.listed(name) {
		return true
	}
	for at, r := range name {
		if isSeparator(r) && m.begins(name[at+1:]) {
			return true
		}
	}
	for part := range strings.FieldsFuncSeq(name, isSeparator) {
		if part != name && m.listed(part) {
			return true
		}
	}
	return false
}

// begins reports whether a part after a separator is listed: `user.password` in `json.user.password`. Patterns that
// begin with `*` were already compared with the whole name.
func (m *mask) begins(rest string) bool {
	for at := range m.names {
		if !m.names[at].start && m.names[at].is(rest) {
			return true
		}
	}
	return false
}

// isSeparator reports whether a byte separates parts of a name: `user[password]`, `json.user.password`.
func isSeparator(r rune) bool { return strings.ContainsRune(".:[]/", r) }

func (m *mask) listed(name string) bool {
	for at := range m.names {
		if m.names[at].is(name) {
			return true
		}
	}
	return false
}

// text masks a text: after a masked name (`name=`, `"name":`, `<name>`, a multipart field), wherever a known secret
// occurs in any case, and card numbers.
func (m *mask) text(text string, known secrets) string {
	if len(m.names) > 0 {
		text = cut(text, m.assigned(text))
		text = cut(text, known.within(text))
	}
	if m.cards {
		text = cut(text, cards(text))
	}
	return text
}

// span is a part of a text: from and to (exclusive).
type span struct{ from, to int }

func cut(text string, spans []span) string {
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, hidden := range spans {
		if hidden.to <= at {
			continue
		}
		b.WriteString(text[at:max(at, hidden.from)])
		b.WriteString(masked)
		at = hidden.to
	}
	b.WriteString(text[at:])
	return b.String()
}
