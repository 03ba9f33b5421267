package main

import (
	"encoding/json"
	"strconv"
	"strings"
)

// lossless is a text in JSON as appendText writes it: U+DC00 + byte, unpaired, is that byte.
type lossless string

// UnmarshalJSON reads a string, and keeps the bytes that encoding/json would replace by U+FFFD.
func (l *lossless) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	if strings.Contains(text, "\uFFFD") {
		text = withBytes(string(raw[1 : len(raw)-1]))
	}
	*l = lossless(text)
	return nil
}

// withBytes reads the inside of a valid JSON string piece by piece: what is between the escaped bytes, and those.
func withBytes(inside string) string {
	var text strings.Builder
	from := 0
	for at := 0; at < len(inside); {
		if inside[at] != '\\' {
			at++
			continue
		}
		code := unit(inside, at)
		switch {
		case code >= 0xdc80 && code <= 0xdcff:
			text.WriteString(unquoteJSON(inside[from:at]))
			text.WriteByte(byte(code - 0xdc00))
			at += 6
			from = at
		case code >= 0xd800 && code < 0xdc00 && isLow(unit(inside, at+6)):
			at += 12
		case code >= 0:
			at += 6
		default:
			at += 2
		}
	}
	text.WriteString(unquoteJSON(inside[from:]))
	return text.String()
}

// unit is the number of the escape `\uXXXX` at this place; -1 if there is none.
func unit(inside string, at int) int {
	if at+6 > len(inside) || inside[at:at+2] != `\u` {
		return -1
	}
	code, err := strconv.ParseUint(inside[at+2:at+6], 16, 16)
	if err != nil {
		return -1
	}
	return int(code)
}

func isLow(code int) bool { return code >= 0xdc00 && code <= 0xdfff }
