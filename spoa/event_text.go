package main

import (
	"encoding/json"
	"unicode/utf8"
)

const hexadecimal = "0123456789abcdef"

// appendText writes a JSON string that keeps every byte. A byte that is no part of valid UTF-8 becomes the unpaired
// surrogate U+DC00 + byte (Python's "surrogateescape", PEP 383), which RFC 8259 §8.2 lets a string hold: Python's
// json.loads(line)["uri"].encode("utf-8", "surrogateescape") gives the very bytes back. Nothing else can look the same,
// since an encoded surrogate is itself invalid UTF-8.
func appendText(b []byte, text string) []byte {
	b = append(b, '"')
	for at := 0; at < len(text); {
		plain := at
		for at < len(text) && isPlain[text[at]] {
			at++
		}
		b = append(b, text[plain:at]...)
		if at == len(text) {
			break
		}
		one := text[at]
		switch {
		case one == '"' || one == '\\':
			b = append(b, '\\', one)
		case one < 0x20 || one == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexadecimal[one>>4], hexadecimal[one&15])
		default:
			symbol, size := utf8.DecodeRuneInString(text[at:])
			if symbol == utf8.RuneError && size == 1 {
				b = append(b, '\\', 'u', 'd', 'c', hexadecimal[one>>4], hexadecimal[one&15])
			} else {
				b = append(b, text[at:at+size]...)
			}
			at += size
			continue
		}
		at++
	}
	return append(b, '"')
}

// isPlain reports which bytes a JSON string contains unescaped.
var isPlain = func() (plain [256]bool) {
	for one := byte(' '); one < 0x7f; one++ {
		plain[one] = one != '"' && one != '\\'
	}
	return plain
}()

// unquoteJSON decodes the inside of a JSON string. Invalid ones are returned unchanged.
func unquoteJSON(inside string) string {
	var text string
	if json.Unmarshal([]byte(`"`+inside+`"`), &text) != nil {
		return inside
	}
	return text
}
