package main

import (
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/tidwall/gjson"
)

// textName is the argument that contains a text body: rules and exclusions name it ARGS:text.body.
const textName = "text.body"

// readText reads a body as one value. JSON is also read as JSON, since sendBeacon, Next.js and others send it as
// text/plain: a server that expects JSON decodes it.
func readText(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error {
	text, err := inUTF8(body, options.Mime)
	if err == nil && isJSON(text, options.RequestBodyRecursionLimit) {
		options.Mime = ""
		return readJSON(text, v, options)
	}
	if err == nil && isNDJSON(text, options.RequestBodyRecursionLimit) {
		options.Mime = ""
		return readNDJSON(text, v, options)
	}
	v.ArgsPost().Add(textName, text)
	setBody(v, text)
	if err == nil && strings.HasPrefix(strings.TrimSpace(text), "<") {
		// Whatever is valid XML also fills XML:/*. Most text with a < is not XML, which is not an error.
		options.Mime = ""
		_ = readXML(text, v, options)
	}
	return err
}

// isJSON: a well-formed object or list.
func isJSON(text string, depth int) bool {
	trimmed := strings.TrimLeft(text, jsonSpace)
	if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' {
		return false
	}
	return depthOfJSON(text) <= depth && gjson.Valid(text)
}

// isNDJSON: several lines, each with an object or list, as Sentry's browser client sends them.
func isNDJSON(text string, depth int) bool {
	count := 0
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, jsonSpace); line == "" {
			continue
		}
		if !isJSON(line, depth) {
			return false
		}
		count++
	}
	return count > 1
}

// readBinary inspects text, JSON and XML only, so that none of these passes uninspected because its content type claims
// to be an image.
func readBinary(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error {
	options.Mime = "" // a charset is meaningless for what is not text
	text, err := inUTF8(body, "")
	if err != nil {
		return readNothing(body, v, options)
	}
	if isText(text) || isJSON(text, options.RequestBodyRecursionLimit) || isXML(text, options.RequestBodyRecursionLimit) {
		return readText(text, v, options)
	}
	return readNothing(body, v, options)
}

// readForm reads a form (application/x-www-form-urlencoded), decoded as leniently as by Coraza.
func readForm(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error {
	charset, err := charsetOf(options.Mime)
	if err == nil {
		body, err = decode(body, charset)
	}
	count := 0
	for rest := body; rest != ""; {
		var pair string
		if pair, rest, _ = strings.Cut(rest, "&"); pair == "" {
			continue
		}
		if options.ArgumentLimit > 0 && count >= options.ArgumentLimit {
			set(v.ArgumentsLimitReached(), "1")
			break
		}
		name, value, _ := strings.Cut(pair, "=")
		v.ArgsPost().Add(formValue(name), formValue(value))
		count++
	}
	setBody(v, body)
	return err
}

// formValue decodes + and %XX. Invalid escapes are left unchanged.
func formValue(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	var read strings.Builder
	read.Grow(len(text))
	for at := 0; at < len(text); at++ {
		switch {
		case text[at] == '+':
			read.WriteByte(' ')
		case text[at] == '%' && at+2 < len(text) && isHexDigit(text[at+1]) && isHexDigit(text[at+2]):
			read.WriteByte(hexDigit(text[at+1])<<4 | hexDigit(text[at+2]))
			at += 2
		default:
			read.WriteByte(text[at])
		}
	}
	return read.String()
}

func isHexDigit(letter byte) bool {
	return letter >= '0' && letter <= '9' || letter|0x20 >= 'a' && letter|0x20 <= 'f'
}

func hexDigit(letter byte) byte {
	if letter <= '9' {
		return letter - '0'
	}
	return letter | 0x20 - 'a' + 10
}
