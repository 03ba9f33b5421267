package main

import (
	"errors"
	"regexp"
	"strings"
)

var (
	errEntities     = errors.New("document type declares entities or attributes")
	errExternalType = errors.New("document type is loaded from an external source")
)

// declaration is the XML declaration. Its version and encoding are already applied when the rest is parsed.
var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n]([^>]*)\?>`)

var (
	declaredEncoding = regexp.MustCompile(`[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*["']([^"']*)["']`)
	declaredVersion  = regexp.MustCompile(`(?:^|[ \t\r\n])version[ \t\r\n]*=[ \t\r\n]*["']([^"']*)["']`)
)

// xmlInUTF8 returns the document after its declaration. Parsers use the first bytes, then the declaration, then the
// content type. XML 1.1 is parsed as 1.0: features of 1.1 alone (control characters by number) are errors.
func xmlInUTF8(body, contentType string) (string, error) {
	header, err := charsetOf(contentType)
	if err != nil {
		return body, err
	}
	text, charset := strings.TrimPrefix(body, "\ufeff"), header
	if seen := writtenIn(body); wide.MatchString(seen) {
		if text, err = decodeWide(body, seen); err != nil {
			return text, err
		}
		charset, header = "", ""
	}
	rest, declared, err := undeclared(text)
	switch {
	case err != nil:
		return rest, err
	case declared != "" && !wide.MatchString(writtenIn(body)):
		charset = declared
	}
	if charset != header { // a parser that respects the content type must not read something else
		if _, err := decode(rest, header); err != nil {
			return rest, err
		}
	}
	return transcoded(rest, charset)
}

// undeclared returns what follows the declaration, and the encoding that it names.
func undeclared(text string) (rest, encoding string, err error) {
	said := declaration.FindStringSubmatch(text)
	if said == nil {
		return text, "", nil
	}
	rest = text[len(said[0]):]
	if version := declaredVersion.FindStringSubmatch(said[1]); version == nil || version[1] != "1.0" && version[1] != "1.1" {
		return rest, "", errors.New("XML declaration without version 1.0 or 1.1")
	}
	if named := declaredEncoding.FindStringSubmatch(said[1]); named != nil {
		encoding = strings.ToLower(named[1])
	}
	return rest, encoding, nil
}

// documentType is a document type with a public and a system identifier and its own declarations.
var documentType = regexp.MustCompile(`(?is)^DOCTYPE\s+[^\s\[]+\s*(?:(?:PUBLIC\s*(?:"[^"]*"|'[^']*')|SYSTEM)\s*("[^"]*"|'[^']*')?\s*)?(?:\[(.*)\]\s*)?$`)

// declares: entities and attribute defaults add values to a document that appear nowhere in it, and parameter entities
// can hide both.
var declares = regexp.MustCompile(`(?i)<!(?:ENTITY|ATTLIST)|%`)

// standardTypes lists where standard document types are published. Loading one from elsewhere would be an attack on the
// parser.
var standardTypes = regexp.MustCompile(`^(?i:https?://(?:www\.w3\.org|www\.apple\.com|[a-z]+\.cxml\.org|www\.oasis-open\.org|java\.sun\.com|www\.musicxml\.org|dtd\.nlm\.nih\.gov)/[A-Za-z0-9._/-]*)$|^[A-Za-z0-9._-]*$`)

func checkDocumentType(directive string) error {
	parts := documentType.FindStringSubmatch(directive)
	switch {
	case parts == nil:
		return errors.New("declaration is not a document type")
	case declares.MatchString(parts[2]):
		return errEntities
	case !standardTypes.MatchString(strings.Trim(parts[1], `"'`)):
		return errExternalType
	}
	return nil
}
