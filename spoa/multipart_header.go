package main

import (
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"net/textproto"
	"slices"
	"strings"
)

const (
	// longestPartHeader is below the length that PHP reads at once (5 KiB): it takes the rest for another header.
	longestPartHeader = 4096
	// mostPartHeaders: browsers send two, mail programs six.
	mostPartHeaders = 32
)

// partHeader is what the headers of a part say.
type partHeader struct {
	lines       []string // as MULTIPART_PART_HEADERS has them: the name in its usual case, a space after the colon
	disposition disposition
	mediaType   string // of Content-Type, in lower case
	encoding    string // Content-Transfer-Encoding, in lower case
	contentType string
	charset     string // that Content-Type names
	duplicate   bool
}

// mayBeFile: by RFC 7578 or in Coraza.
func (h *partHeader) mayBeFile() bool { return len(h.disposition.filenames()) > 0 }

// mayBeField: some parser sees no file name, or the part is itself multipart.
func (h *partHeader) mayBeField() bool {
	return !h.disposition.isSurelyFile() || strings.HasPrefix(h.mediaType, "multipart/")
}

// header parses a part's headers. Anything but `name: value` on one line is a fault: PHP appends it to the previous
// header.
func (f *multipartForm) header(head string) *partHeader {
	header := &partHeader{}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(head, f.lineEnd) {
		if head == "" {
			break
		}
		if len(header.lines) == mostPartHeaders {
			f.blame("part with too many headers")
			break
		}
		name, value, found := strings.Cut(line, ":")
		if !found || !isToken(name) || hasControls(value) || len(line) > longestPartHeader {
			f.blame("part header that is not name: value on one line")
			header.lines = append(header.lines, line)
			continue
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t")
		header.duplicate = header.duplicate || seen[name]
		seen[name] = true
		header.lines = append(header.lines, name+": "+value)
		f.readHeader(header, name, value)
	}
	return header
}

func (f *multipartForm) readHeader(header *partHeader, name, value string) {
	switch name {
	case "Content-Disposition":
		header.disposition = readDisposition(value)
		header.duplicate = header.duplicate || header.disposition.duplicate
		if header.disposition.quotedExtended {
			set(f.variables.MultipartInvalidQuoting(), "1")
		}
		if words := header.disposition.fault; words != "" {
			f.blame(words)
		}
	case "Content-Type":
		mediaType, _, _ := strings.Cut(strings.ToLower(value), ";")
		header.mediaType = strings.TrimSpace(mediaType)
		header.contentType = value
		header.charset = f.charsetOf(value)
	case "Content-Transfer-Encoding":
		header.encoding = strings.ToLower(value)
		if !knownEncodings[header.encoding] {
			f.blame("part with an unknown transfer encoding")
		}
	}
}

var knownEncodings = map[string]bool{"7bit": true, "8bit": true, "binary": true, "base64": true, "quoted-printable": true}

// charsetOf returns the charset of a content type, in lower case.
func (f *multipartForm) charsetOf(contentType string) string {
	charset, err := charsetOf(contentType)
	if err != nil {
		f.blame(err.Error())
	}
	return charset
}

// decoded returns a field's value, and its readings by parsers that respect its transfer encoding (Django, Go) or a
// charset (busboy its own, Django the request's).
func (f *multipartForm) decoded(value string, header *partHeader) []string {
	values := []string{value}
	switch header.encoding {
	case "base64":
		values = append(values, fromBase64(value))
	case "quoted-printable":
		plain, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(value))) // as far as it is valid
		values = append(values, string(plain))
	}
	for _, charset := range []string{header.charset, f.charset} {
		for _, written := range values {
			read, err := decode(written, charset)
			if err != nil {
				f.blame(err.Error())
			} else if !slices.Contains(values, read) {
				values = append(values, read)
			}
		}
	}
	return values
}

// fromBase64 decodes like Python: it skips characters outside the alphabet.
func fromBase64(text string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '/' {
			return r
		}
		return -1
	}, text)
	if len(plain)%4 == 1 {
		plain = plain[:len(plain)-1]
	}
	decoded, _ := base64.RawStdEncoding.DecodeString(plain)
	return string(decoded)
}

// isToken: RFC 9110 §5.6.2.
func isToken(text string) bool {
	for _, c := range []byte(text) {
		isAlphanumeric := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !isAlphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}

// hasControls: beside tabs.
func hasControls(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
