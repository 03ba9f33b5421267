package main

import (
	"mime"
	"strconv"
	"strings"
)

// keptHeaders are those whose values stay: they tell how a request is read, and nothing of who sent it.
var keptHeaders = map[string]bool{
	"host": true, "content-type": true, "content-length": true, "content-encoding": true, "transfer-encoding": true, "accept": true,
	"accept-encoding": true, "accept-charset": true, "connection": true, "upgrade": true, "cache-control": true, "pragma": true,
	"te": true, "expect": true, "x-requested-with": true, "sec-fetch-dest": true, "sec-fetch-mode": true, "sec-fetch-site": true,
	"sec-fetch-user": true, "upgrade-insecure-requests": true, "depth": true, "x-http-method-override": true,
}

// header needs the request's host: a page of the same site stays one, which rules compare.
func (m *masks) header(name, value, host string) string {
	switch name = strings.ToLower(name); {
	case keptHeaders[name], name == "range" && strings.Trim(value, "bytes=0123456789-, ") == "":
		return value
	case name == "referer" || name == "origin":
		return m.page(value, "://"+host)
	case name == "cookie":
		return m.pairs(value, ";")
	}
	return m.shape(value)
}

func (m *masks) page(address, site string) string {
	scheme, path, same := strings.Cut(address, site)
	if !same {
		return m.shape(address)
	}
	return m.shape(scheme) + site + m.shape(path)
}

// pairs are `name=value`, with their names kept as far as they are names.
func (m *masks) pairs(text, divider string) string {
	parts := strings.Split(text, divider)
	for at, part := range parts {
		name, value, assigned := strings.Cut(part, "=")
		if !assigned {
			parts[at] = m.escaped(part)
			continue
		}
		parts[at] = m.name(name) + "=" + m.escaped(value)
	}
	return strings.Join(parts, divider)
}

func (m *masks) query(query string) string { return m.pairs(query, "&") }

// path keeps the parts that are words and short versions; a part with digits, other signs or a word that is too long could be
// somebody's.
func (m *masks) path(path string) string {
	parts := strings.Split(path, "/")
	for at, part := range parts {
		if len(part) > 3 && !isWordy(part) {
			parts[at] = m.escaped(part)
		}
	}
	return strings.Join(parts, "/")
}

func isWordy(text string) bool {
	run := 0
	for at := range len(text) {
		b := text[at]
		if run++; strings.IndexByte("-_.", b) >= 0 {
			run = 0
		} else if isDigit(b) || !isWordByte(b) || run > longestWord {
			return false
		}
	}
	return true
}

const (
	longestName  = 64
	longestWord  = 20
	nameDigits   = 4 // a longer number is data
	signsOfNames = "_-.:$[]%+* ;"
)

// name stays if it can be the name of a field; what looks like data, percent-encoded, too, is replaced.
func (m *masks) name(name string) string {
	if plain, _ := percentDecoded(name); len(name) > longestName || !isName(name) || !isName(string(plain)) {
		return m.escaped(name)
	}
	return name
}

func isName(name string) bool {
	run := 0
	for at := range len(name) {
		b := name[at]
		if run++; !isDigit(b) {
			run = 0
		}
		if run > nameDigits || !isWordByte(b) && strings.IndexByte(signsOfNames, b) < 0 {
			return false
		}
	}
	return true
}

// escaped shapes what percent-encoding stands for. Each byte is written as it was.
func (m *masks) escaped(text string) string {
	if strings.IndexByte(text, '%') < 0 {
		return m.shape(text)
	}
	plain, encoded := percentDecoded(text)
	var out strings.Builder
	for at, b := range []byte(m.shape(string(plain))) {
		if encoded[at] {
			out.WriteString("%" + strings.ToUpper(hexadecimal[b>>4:b>>4+1]+hexadecimal[b&15:b&15+1]))
		} else {
			out.WriteByte(b)
		}
	}
	return out.String()
}

// percentDecoded gives the bytes that a text stands for, and which of them are percent-encoded in it.
func percentDecoded(text string) (plain []byte, encoded []bool) {
	for at := 0; at < len(text); at++ {
		if text[at] == '%' && at+2 < len(text) {
			if code, err := strconv.ParseUint(text[at+1:at+3], 16, 8); err == nil {
				plain, encoded = append(plain, byte(code)), append(encoded, true)
				at += 2
				continue
			}
		}
		plain, encoded = append(plain, text[at]), append(encoded, false)
	}
	return plain, encoded
}

// body shapes the values of one that is read by its fields, and all of any other.
func (m *masks) body(contentType, body string) string {
	kind, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil && kind == "":
	case kind == "application/x-www-form-urlencoded":
		return m.query(body)
	case strings.HasSuffix(kind, "json"):
		return m.json(body)
	case strings.HasSuffix(kind, "xml"):
		return m.xml(body)
	case kind == "multipart/form-data" && parameters["boundary"] != "":
		return m.multipart(body, "--"+parameters["boundary"])
	}
	return m.shape(body)
}

// json keeps the names of members.
func (m *masks) json(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		if text[at] != '"' {
			to := at + end(text[at:], `"`)
			out.WriteString(m.shape(text[at:to]))
			at = to
			continue
		}
		to := at + jsonLength(text[at:], 0)
		inside := strings.TrimSuffix(text[at+1:to], `"`)
		if strings.HasPrefix(strings.TrimLeft(text[to:], " \t\r\n"), ":") {
			inside = m.name(inside)
		} else {
			inside = m.jsonString(inside)
		}
		out.WriteString(`"` + inside + text[at+1+len(inside):to])
		at = to
	}
	return out.String()
}

// jsonString keeps escapes of signs, and replaces those of letters.
func (m *masks) jsonString(inside string) string {
	var out strings.Builder
	from := 0
	for at := 0; at < len(inside); at++ {
		if inside[at] != '\\' {
			continue
		}
		out.WriteString(m.shape(inside[from:at]))
		length := min(2, len(inside)-at)
		if code := unit(inside, at); code >= 0 {
			length = 6
			out.WriteString(m.jsonEscape(inside[at:at+6], code, at))
		} else {
			out.WriteString(inside[at : at+length])
		}
		from = at + length
		at = from - 1
	}
	out.WriteString(m.shape(inside[from:]))
	return out.String()
}

func (m *masks) jsonEscape(escape string, code, at int) string {
	switch {
	case code < 0x80 && isWordByte(byte(code)):
		return `\u00` + strconv.FormatInt(int64(m.word(string(rune(code)))[0]), 16)
	case code < 0xc0 || code >= 0xd800 && code < 0xe000: // signs, and halves of what is beyond 16 bits
		return escape
	}
	return `\u00` + strconv.FormatInt(int64(0xe0+int(m.number(escape, at).next(23))), 16)
}
