package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

var charsetParameter = regexp.MustCompile(`(?i)charset\*?\s*=\s*["']?([^;,"'\s]*)`)

var errTwoCharsets = errors.New("the content type names two charsets")

// inUTF8 returns a body's text in the form that rules can inspect. Its encoding follows from a byte order mark, from
// the zero bytes around its first characters (RFC 4627 §3, as Python's json.loads and XML parsers do), or else from the
// content type. Ambiguous text is an error.
func inUTF8(body, contentType string) (string, error) {
	declared, err := charsetOf(contentType)
	if err != nil {
		return body, err
	}
	if seen := writtenIn(body); seen != "" {
		return decode(body, seen)
	}
	return decode(body, declared)
}

func charsetOf(contentType string) (string, error) {
	found := ""
	for _, each := range charsetParameter.FindAllStringSubmatch(contentType, -1) {
		name := strings.ToLower(each[1])
		if found != "" && name != found {
			return "", errTwoCharsets
		}
		found = name
	}
	return found, nil
}

// beginnings identify encodings that are not a superset of ASCII, longer ones first.
var beginnings = []struct{ bytes, charset string }{
	{"\xff\xfe\x00\x00", "utf-32le"}, {"\x00\x00\xfe\xff", "utf-32be"}, {"\xff\xfe", "utf-16le"}, {"\xfe\xff", "utf-16be"},
	{"\xef\xbb\xbf", "utf-8"},
}

// writtenIn returns the charset that the first bytes reveal, or "".
func writtenIn(body string) string {
	for _, each := range beginnings {
		if strings.HasPrefix(body, each.bytes) {
			return each.charset
		}
	}
	var zero [4]bool
	for at := range min(4, len(body)) {
		zero[at] = body[at] == 0
	}
	switch {
	case len(body) >= 4 && zero == [4]bool{true, true, true, false}:
		return "utf-32be"
	case len(body) >= 4 && zero == [4]bool{false, true, true, true}:
		return "utf-32le"
	case len(body) >= 2 && zero[0] && !zero[1]:
		return "utf-16be"
	case len(body) >= 2 && !zero[0] && zero[1]:
		return "utf-16le"
	}
	return ""
}

// asItIs lists names of UTF-8 and of its subset: nothing to decode, whatever the bytes.
var asItIs = map[string]bool{"": true, "utf-8": true, "utf8": true, "us-ascii": true, "ascii": true}

// decode returns inspectable text in the given charset. It is an error if a server that respects the charset and one
// that ignores it would see different attacks. Single-byte charsets that contain ASCII are left unchanged.
func decode(body, charset string) (string, error) {
	if asItIs[charset] {
		return strings.TrimPrefix(body, "\ufeff"), nil
	}
	if wide.MatchString(charset) {
		return decodeWide(body, charset)
	}
	encoding, name, err := encodingOf(charset)
	if err != nil {
		return body, err
	}
	if _, singleByte := encoding.(*charmap.Charmap); singleByte || name == "utf-8" || isASCII(body) {
		return body, nil
	}
	return body, fmt.Errorf("characters in charset %s that servers read differently", name)
}

// encodingOf knows the charsets of browsers, except those in which earlier escapes change the meaning of a byte.
func encodingOf(charset string) (encoding.Encoding, string, error) {
	found, err := htmlindex.Get(charset)
	if err != nil {
		return nil, "", fmt.Errorf("unsupported charset %s", printable(charset))
	}
	name, err := htmlindex.Name(found)
	if err != nil || name == "replacement" || name == "iso-2022-jp" || name == "x-user-defined" {
		return nil, "", fmt.Errorf("unsupported charset %s", printable(charset))
	}
	return found, name, nil
}

// transcoded is for documents whose charset every parser respects: XML with a declaration.
func transcoded(body, charset string) (string, error) {
	switch {
	case asItIs[charset]:
		return body, nil
	case wide.MatchString(charset): // the bytes would have revealed it
		return body, errNotInCharset
	}
	encoding, name, err := encodingOf(charset)
	if err != nil {
		return body, err
	}
	text, err := decoded(encoding.NewDecoder().String(body))
	if err == nil && name == "shift_jis" && strings.ContainsAny(text, `\~`) {
		return text, errYen
	}
	return text, err
}

// errYen: JIS X 0201 has a yen sign and an overline in place of ASCII's \ and ~, and servers read either.
var errYen = errors.New("a backslash or a tilde in Shift_JIS, which servers read differently")

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(letter rune) bool { return letter > 0x7f }) < 0
}

// wide lists charsets in which an ASCII letter has adjacent zero bytes.
var wide = regexp.MustCompile(`^(utf|ucs)-?(16|32|2|4)(le|be)?$`)

// decodeWide reads UTF-16 and UTF-32 in the byte order that the body reveals. Otherwise it is rejected: servers that
// ignore the charset would read something else.
func decodeWide(body, charset string) (string, error) {
	seen := writtenIn(body)
	if !wide.MatchString(seen) || strings.ContainsAny(charset, "34") != strings.Contains(seen, "32") {
		return body, errNotInCharset
	}
	if strings.Contains(seen, "32") {
		order := utf32.Endianness(strings.HasSuffix(seen, "le")) // true is little-endian there
		return decoded(utf32.UTF32(order, utf32.UseBOM).NewDecoder().String(body))
	}
	order := unicode.Endianness(strings.HasSuffix(seen, "le"))
	return decoded(unicode.UTF16(order, unicode.UseBOM).NewDecoder().String(body))
}

var errNotInCharset = errors.New("the body does not match its declared charset")

// decoded rejects text that its charset does not contain: parsers disagree about what follows.
func decoded(text string, err error) (string, error) {
	if err != nil {
		return text, err
	}
	if strings.ContainsRune(text, utf8.RuneError) {
		return text, errNotInCharset
	}
	return strings.TrimPrefix(text, "\ufeff"), nil
}

// isText distinguishes readable text from images, archives and protobufs: valid UTF-8 without control characters other
// than white space.
func isText(body string) bool {
	if !utf8.ValidString(body) {
		return false
	}
	return strings.IndexFunc(body, isControl) < 0
}

func isControl(letter rune) bool {
	return letter < ' ' && !strings.ContainsRune("\t\n\f\r", letter) || letter == 0x7f
}
