package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Question is the body of POST /v1/evaluate: a request and optionally its response, for a loaded application or for
// directives that are compiled once.
type Question struct {
	Application string            `json:"application"`
	Directives  string            `json:"directives"`
	Request     *QuestionRequest  `json:"request"`
	Response    *QuestionResponse `json:"response"`
}

// QuestionRequest is a request as HAProxy would pass it on. Headers are ordered, and may repeat.
type QuestionRequest struct {
	Client  string      `json:"client"`
	Method  string      `json:"method"`
	URI     string      `json:"uri"`
	Version string      `json:"version"`
	Headers [][2]string `json:"headers"`
	Body    []byte      `json:"body"`
	Partial bool        `json:"partial"` // the body is truncated
}

// UnmarshalJSON keeps bytes of URL and headers that are not text, like events.
func (r *QuestionRequest) UnmarshalJSON(raw []byte) error {
	type plain QuestionRequest
	var read struct {
		plain
		URI     lossless      `json:"uri"`
		Headers [][2]lossless `json:"headers"`
	}
	if err := readStrictly(bytes.NewReader(raw), &read); err != nil {
		return err
	}
	*r = QuestionRequest(read.plain)
	r.URI = string(read.URI)
	for _, header := range read.Headers {
		r.Headers = append(r.Headers, [2]string{string(header[0]), string(header[1])})
	}
	return nil
}

// QuestionResponse is the server's response.
type QuestionResponse struct {
	Status  int         `json:"status"`
	Version string      `json:"version"`
	Headers [][2]string `json:"headers"`
	Body    []byte      `json:"body"`
}

// readQuestion reads a question strictly.
func readQuestion(body io.Reader) (*Question, error) {
	question := &Question{}
	if err := readStrictly(body, question); err != nil {
		return nil, err
	}
	return question, question.check()
}

// readStrictly reads a JSON document and rejects unknown keys, which must not be missing from the verdict.
func readStrictly(from io.Reader, document any) error {
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(document); err != nil {
		return err
	}
	switch _, err := decoder.Token(); {
	case err == nil:
		return errors.New("unexpected data after the JSON document")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (q *Question) check() error {
	under := Under{q.Application, q.Directives}
	if err := under.check(); err != nil {
		return err
	}
	return q.checkRequest()
}

// checkRequest validates the request and its response.
func (q *Question) checkRequest() error {
	if q.Request == nil {
		return errors.New("request is required")
	}
	if err := q.Request.check(); err != nil {
		return fmt.Errorf("request.%w", err)
	}
	if q.Response == nil {
		return nil
	}
	if err := q.Response.check(); err != nil {
		return fmt.Errorf("response.%w", err)
	}
	return nil
}

// Under selects the rules: a loaded application by name, or directives that are compiled once.
type Under struct {
	Application string `json:"application"`
	Directives  string `json:"directives"`
}

func (u *Under) check() error {
	switch {
	case (u.Application == "") == (u.Directives == ""):
		return errors.New("either application or directives is required")
	case len(u.Directives) > evaluationDirectives:
		return fmt.Errorf("directives exceed %d bytes", evaluationDirectives)
	}
	return checkDirectives(u.Directives)
}

// reaching lists directives and operators that write files or run programs, which a question must not.
var reaching = []string{"secauditlog", "secdebuglog", "secuploaddir", "secdatadir", "sectmpdir", "@inspectfile"}

func checkDirectives(text string) error {
	for _, one := range logicalLines(text) {
		lower := strings.ToLower(one.text)
		for _, word := range reaching {
			begins := strings.HasPrefix(strings.TrimSpace(lower), word)
			if begins || word[0] == '@' && strings.Contains(lower, word) {
				return fmt.Errorf("directives: line %d: %s is not allowed in an evaluation", one.line, word)
			}
		}
	}
	return nil
}

func (r *QuestionRequest) check() error {
	if r.Client != "" {
		if _, err := netip.ParseAddr(r.Client); err != nil {
			return errors.New("client is not an IP address")
		}
	}
	if r.Method == "" || strings.ContainsAny(r.Method, "\r\n") {
		return errors.New("method is required and must be a single line")
	}
	if r.URI == "" || strings.ContainsAny(r.URI, "\r\n") {
		return errors.New("uri is required and must be a single line")
	}
	if err := checkVersion(r.Version); err != nil {
		return err
	}
	return checkHeaders(r.Headers)
}

func (r *QuestionResponse) check() error {
	if r.Status < 100 || r.Status > 999 {
		return errors.New("status must be between 100 and 999")
	}
	if err := checkVersion(r.Version); err != nil {
		return err
	}
	return checkHeaders(r.Headers)
}

// checkVersion: as in HAProxy's req.ver, without "HTTP/".
func checkVersion(version string) error {
	if len(version) > 16 || strings.ContainsAny(version, "\r\n/ ") {
		return errors.New("version must look like 1.1")
	}
	return nil
}

// checkHeaders rejects what a header cannot contain: it would be read as another header.
func checkHeaders(headers [][2]string) error {
	for at, header := range headers {
		if header[0] == "" || strings.ContainsAny(header[0], ":\r\n") {
			return fmt.Errorf("headers[%d]: the name is empty or contains a colon or a line break", at)
		}
		if strings.ContainsAny(header[1], "\r\n") {
			return fmt.Errorf("headers[%d]: the value contains a line break", at)
		}
	}
	return nil
}

// message returns the request as HAProxy would send it over SPOE.
func (r *QuestionRequest) message() Message {
	path, query, _ := strings.Cut(r.URI, "?")
	client := netip.IPv4Unspecified()
	if r.Client != "" {
		client, _ = netip.ParseAddr(r.Client) // validated when it was read
	}
	return Message{
		Name: "coraza-req", Method: r.Method, Path: path, Query: query, Version: versionOr11(r.Version),
		Headers: joined(r.Headers), Body: r.Body, SourceAddress: client, TargetAddress: netip.IPv4Unspecified(), Partial: r.Partial,
	}
}

func (r *QuestionResponse) message() Message {
	return Message{
		Name: "coraza-res", Status: r.Status, Version: versionOr11(r.Version), Headers: joined(r.Headers), Body: r.Body,
	}
}

func versionOr11(version string) string {
	if version == "" {
		return "1.1"
	}
	return version
}

func joined(headers [][2]string) string {
	var text bytes.Buffer
	for _, header := range headers {
		text.WriteString(header[0] + ": " + header[1] + "\r\n")
	}
	return text.String()
}
