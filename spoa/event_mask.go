package main

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// maskComment begins a line of an application's directives that lists what its events must not show. It is a comment to
// Coraza, so that coraza-spoa accepts the same file; and the application's name, a hash of the text, covers the list.
const maskComment = "# guardpanel-mask:"

// maskCards in the list stands for numbers that could be a payment card's, wherever they are.
const maskCards = "@cards"

// defaultMask is for applications whose directives have no list.
const defaultMask = "authorization proxy-authorization cookie set-cookie *password* *passwd* passphrase pass pwd *secret* *token* " +
	"*apikey* *api_key* *api-key* cvc cvv *card_number* *cardnumber* " + maskCards

// masked stands in an event where something was left out.
const masked = "[masked]"

const (
	// shortestSecret: a value below is masked where its name stands before it, and not looked for in other texts.
	shortestSecret = 4
	// longestSecret bytes are compared; from a longer one on, the rest of a text is left out.
	longestSecret = 1024
	mostSecrets   = 64
)

// mask knows the names whose values are kept out of an application's events.
type mask struct {
	names []pattern
	cards bool
}

// pattern is a name in lower case; `*` at an end of it stands for anything.
type pattern struct {
	word       string
	start, end bool // with a `*` there
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

// hides tells whether a field, header or cookie of this name is masked: `user[password]` and `json.user.password` are if
// `password` is.
func (m *mask) hides(name string) bool {
	if len(m.names) == 0 || name == "" {
		return false
	}
	name = strings.ToLower(name)
	if m.listed(name) {
		return true
	}
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return strings.ContainsRune(".:[]/", r) }) {
		if part != name && m.listed(part) {
			return true
		}
	}
	return false
}

func (m *mask) listed(name string) bool {
	for at := range m.names {
		if m.names[at].is(name) {
			return true
		}
	}
	return false
}

// secrets are values that no text of one event may hold, in lower case.
type secrets []string

func (s *secrets) add(value string) {
	if len(value) > longestSecret {
		value = value[:longestSecret]
	}
	value = lower(strings.Clone(value))
	if len(value) >= shortestSecret && len(*s) < mostSecrets && !slices.Contains(*s, value) {
		*s = append(*s, value)
	}
}

// addHeader takes the value of a masked header, and what is inside of it: a scheme's credentials, each cookie.
func (s *secrets) addHeader(name, value string) {
	s.add(value)
	if scheme, credentials, found := strings.Cut(value, " "); found && strings.EqualFold(name, "authorization") {
		s.add(credentials)
		if decoded, err := base64.StdEncoding.DecodeString(credentials); err == nil && strings.EqualFold(scheme, "basic") {
			_, password, _ := strings.Cut(string(decoded), ":")
			s.add(password)
		}
	}
	if strings.EqualFold(name, "cookie") {
		for cookie := range strings.SplitSeq(value, ";") {
			_, content, _ := strings.Cut(cookie, "=")
			s.add(content)
		}
	}
}

// text gives a text without what is masked: after a masked name (`name=`, `"name":`, `<name>`, a multipart field),
// wherever a known secret stands in any case, and card numbers.
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

// span is a part of a text: from, to (exclusive).
type span struct{ from, to int }

func cut(text string, spans []span) string {
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, one := range spans {
		if one.to <= at {
			continue
		}
		b.WriteString(text[at:max(at, one.from)])
		b.WriteString(masked)
		at = one.to
	}
	b.WriteString(text[at:])
	return b.String()
}

// assigned finds the values that stand after masked names.
func (m *mask) assigned(text string) []span {
	var found []span
	for at := 0; at < len(text); at++ {
		var one span
		var is bool
		switch text[at] {
		case '=':
			if one, is = m.attribute(text, at); !is {
				one, is = m.equals(text, at)
			}
		case ':':
			one, is = m.member(text, at)
		case '<':
			one, is = m.element(text, at)
		}
		if is && one.to > one.from {
			found = append(found, one)
			at = one.to - 1
		}
	}
	return found
}

// equals looks at `name=value`, and at the multipart field `name="field"`, whose value is below.
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

// attribute looks at `<… name = "value"` of XML, in quotes of either kind, whatever is between them.
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

// part is the content of a multipart field whose headers go on at `from`.
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

// member looks at `"name": value` of JSON.
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

// jsonLength of the value that a text begins with; what is cut short ends with the text.
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

// element looks at `<name …>value</name>` of XML.
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

// within finds the secrets in a text, whatever the case: transformations change that.
func (s secrets) within(text string) []span {
	if len(s) == 0 || len(text) < shortestSecret {
		return nil
	}
	lowered := lower(text)
	var found []span
	for _, secret := range s {
		for at := 0; ; {
			next := strings.Index(lowered[at:], secret)
			if next < 0 {
				break
			}
			from, to := at+next, at+next+len(secret)
			if len(secret) == longestSecret {
				to = len(text)
			}
			found, at = append(found, span{from, to}), to
		}
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	return found
}

// lower changes ASCII letters alone, so that places stay the same.
func lower(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r >= 'A' && r <= 'Z' }) < 0 {
		return text
	}
	b := []byte(text)
	for at, one := range b {
		if one >= 'A' && one <= 'Z' {
			b[at] = one + 'a' - 'A'
		}
	}
	return string(b)
}

// Payment cards have 13 to 19 digits (ISO/IEC 7812-1), begin with 2 to 6, and end with Luhn's check digit.
const (
	fewestDigits = 13
	mostDigits   = 19
)

// cards finds what could be a card's number, also in groups divided by one space or dash each.
func cards(text string) []span {
	var found []span
	for at := 0; at < len(text); {
		if !isDigit(text[at]) {
			at++
			continue
		}
		digits, to := digitsFrom(text, at)
		if isCard(digits) {
			found = append(found, span{at, to})
		}
		at = to
	}
	return found
}

// digitsFrom reads digits with single dividers between them; `to` is after the last digit.
func digitsFrom(text string, at int) (digits []byte, to int) {
	for to = at; at < len(text); at++ {
		switch {
		case isDigit(text[at]):
			digits, to = append(digits, text[at]-'0'), at+1
		case (text[at] == ' ' || text[at] == '-' || text[at] == '+') && at == to:
		default:
			return digits, to
		}
	}
	return digits, to
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isCard(digits []byte) bool {
	if len(digits) < fewestDigits || len(digits) > mostDigits || digits[0] < 2 || digits[0] > 6 {
		return false
	}
	sum := 0
	for at, digit := range digits {
		value := int(digit)
		if (len(digits)-at)%2 == 0 {
			if value *= 2; value > 9 {
				value -= 9
			}
		}
		sum += value
	}
	return sum%10 == 0
}

// unescaped is a JSON string's inside as it is meant.
func unescaped(inside string) string {
	if strings.IndexByte(inside, '\\') < 0 {
		return inside
	}
	return unquoteJSON(inside)
}
