package main

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	variable "github.com/corazawaf/coraza/v3/types/variables"
)

const (
	// shortestSecret: shorter values are masked after their names, but not searched for in other texts.
	shortestSecret = 4
	// longestSecret is the number of bytes that are compared. After a longer match, the rest of the text is masked.
	longestSecret = 1024
	mostSecrets   = 64
)

// secrets are values that no text of an event may contain, in lower case.
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

// addHeader adds the value of a masked header, and its parts: a scheme's credentials, each cookie.
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

// within finds the secrets in a text, ignoring case, which transformations change.
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

// lower changes ASCII letters only, so that offsets stay the same.
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

// deepestSecret limits the nesting of XML that is parsed for an event. What rules inspect has the policy's limit.
const deepestSecret = 1024

// takeSecrets collects the values of masked headers and arguments, which rules may also have seen elsewhere.
func (e *Event) takeSecrets(transaction types.Transaction, headers string) {
	eachHeader(headers, func(name, value string) {
		if e.mask.hides(name) {
			e.secrets.addHeader(name, value)
		}
	})
	body := string(e.message.Body)
	for _, value := range e.mask.assigned(body) { // no collection has XML values by name
		e.secrets.add(body[value.from:value.to])
	}
	state, ok := transaction.(plugintypes.TransactionState)
	if !ok {
		return
	}
	if variables := state.Variables(); len(variables.RequestXML().FindAll()) > 0 {
		kind := strings.Join(variables.RequestHeaders().Get("content-type"), ";")
		eachInXML(body, kind, deepestSecret, func(name, value string) {
			if e.mask.hides(name) {
				e.secrets.add(value)
			}
		})
	}
	for _, collection := range []variable.RuleVariable{variable.ArgsGet, variable.ArgsPost, variable.ArgsPath, variable.RequestCookies} {
		for _, argument := range state.Collection(collection).FindAll() {
			if e.mask.hides(argument.Key()) {
				e.secrets.add(argument.Value())
			}
		}
	}
}
