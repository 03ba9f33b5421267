package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/tidwall/gjson"
)

var (
	errNotJSON = errors.New("invalid JSON")
	errTooDeep = errors.New("nested deeper than allowed")
)

// readJSON turns a body into arguments named `json.` and the path to the value, like Coraza. In addition, it reads a
// byte order mark and UTF-16 or UTF-32, as servers do, and the name of an empty object or list is an argument, too.
func readJSON(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error {
	text, err := inUTF8(body, options.Mime)
	if err != nil {
		setBody(v, body)
		return err
	}
	set(v.RequestBodyProcessor(), "JSON") // rules check it (920539), also for JSON that was declared as text
	if strings.Trim(text, jsonSpace) == "" {
		return nil // servers treat it as no body
	}
	if len(v.TX().Get(partialBody)) > 0 {
		text = closedJSON(text)
	}
	flat := newFlattened(v, options, len(text))
	read := gjson.Parse(text)
	err = flat.ended(flat.descend(read, append(flat.key, "json"...), options.RequestBodyRecursionLimit))
	switch {
	case err != nil:
		return err
	case depthOfJSON(text) > options.RequestBodyRecursionLimit: // before Valid, which recurses
		return errTooDeep
	case !gjson.Valid(text):
		if err = endedEarly(text); cutShort(v, err) {
			return nil
		}
		return errNotJSON
	}
	v.TX().Set("json_request_body", []string{text}) // for @validateSchema
	return nil
}

const jsonSpace = " \t\r\n"

// readNDJSON reads each line as JSON, under `json.` and its number from 0. Other lines are read as text, and binary
// ones are skipped, like the files in a Sentry envelope: no line parser reads them.
func readNDJSON(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error {
	text, err := inUTF8(body, options.Mime)
	if err != nil {
		setBody(v, body)
		return err
	}
	set(v.RequestBodyProcessor(), "JSON")
	flat := newFlattened(v, options, len(text))
	at := 0
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, jsonSpace); line == "" {
			continue
		}
		if err := flat.line(line, at, options.RequestBodyRecursionLimit); err != nil {
			return flat.ended(err)
		}
		at++
	}
	return nil
}

func (f *flattened) line(line string, at, depth int) error {
	key := strconv.AppendInt(append(f.key[:0], "json."...), int64(at), 10)
	switch {
	case depthOfJSON(line) > depth:
		return errTooDeep
	case gjson.Valid(line):
		value := gjson.Parse(line)
		if value.IsObject() || value.IsArray() {
			return f.descend(value, key, depth)
		}
		return f.add(key, valueOf(value))
	case isText(line):
		return f.add(key, line)
	}
	return nil
}

// flattened writes arguments within limits. Names contain the whole path, so small JSON can become large arguments: at
// most eight times the body (Coraza's own limit), but at least 4 KiB.
type flattened struct {
	v       plugintypes.TransactionVariables
	key     []byte
	limit   int // of arguments; 0: none
	count   int
	lengths int // lists, whose lengths are counted as arguments separately
	budget  int
}

func newFlattened(v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions, size int) *flattened {
	return &flattened{v: v, key: make([]byte, 0, 256), limit: options.ArgumentLimit, budget: max(8*size, 4096)}
}

var errTooWide = errors.New("the names in JSON are too long in total")

// errEnough stops at the policy's argument limit, which rules see as ARGUMENTS_LIMIT_REACHED.
var errEnough = errors.New("too many arguments")

// ended drops errEnough: too many arguments are not an error of the body.
func (f *flattened) ended(err error) error {
	if errors.Is(err, errEnough) {
		set(f.v.ArgumentsLimitReached(), "1")
		return nil
	}
	return err
}

func (f *flattened) descend(value gjson.Result, key []byte, depth int) (err error) {
	if depth <= 0 {
		return errTooDeep
	}
	count, isList := 0, value.IsArray()
	value.ForEach(func(name, member gjson.Result) bool {
		below := append(key, '.')
		if name.Type == gjson.String {
			below = append(below, textOf(name)...)
		} else {
			below = strconv.AppendInt(below, int64(count), 10)
		}
		count++
		if member.IsObject() || member.IsArray() {
			err = f.descend(member, below, depth-1)
		} else {
			err = f.add(below, valueOf(member))
		}
		return err == nil
	})
	switch {
	case err != nil:
		return err
	case isList && count > 0:
		return f.length(key, count)
	case count == 0:
		return f.add(key, "")
	}
	return nil
}

func (f *flattened) add(key []byte, value string) error {
	if f.limit > 0 && f.count >= f.limit {
		return errEnough
	}
	f.count++
	return f.write(key, value)
}

// length: the number of list items is an argument under the list's name.
func (f *flattened) length(key []byte, count int) error {
	if f.limit > 0 && f.lengths >= f.limit {
		return errEnough
	}
	f.lengths++
	return f.write(key, strconv.Itoa(count))
}

func (f *flattened) write(key []byte, value string) error {
	if f.budget -= len(key) + len(value); f.budget < 0 {
		return errTooWide
	}
	f.v.ArgsPost().Add(string(key), value)
	return nil
}

// half: an escaped UTF-16 surrogate. gjson takes the escape after a lone one for its second half and loses that letter.
// JavaScript and Python keep it.
var half = regexp.MustCompile(`(?i)\\ud[89a-f]`)

func textOf(value gjson.Result) string {
	if half.MatchString(value.Raw) {
		var text string
		if json.Unmarshal([]byte(value.Raw), &text) == nil {
			return text
		}
	}
	return value.Str
}

func valueOf(value gjson.Result) string {
	switch value.Type {
	case gjson.String:
		return textOf(value)
	case gjson.Null:
		return ""
	}
	return value.Raw // numbers as written, whatever their size
}

// depthOfJSON returns the nesting depth of objects and lists, without recursion.
func depthOfJSON(text string) int {
	depth, deepest, quoted := 0, 0, false
	for at := 0; at < len(text); at++ {
		switch letter := text[at]; {
		case quoted && letter == '\\':
			at++
		case letter == '"':
			quoted = !quoted
		case quoted:
		case letter == '{' || letter == '[':
			depth++
			deepest = max(deepest, depth)
		case letter == '}' || letter == ']':
			depth--
		}
	}
	return deepest
}

// endedEarly returns io.ErrUnexpectedEOF if objects or lists are still open at the end.
func endedEarly(text string) error {
	depth, quoted := 0, false
	for at := 0; at < len(text); at++ {
		switch letter := text[at]; {
		case quoted && letter == '\\':
			at++
		case letter == '"':
			quoted = !quoted
		case quoted:
		case letter == '{' || letter == '[':
			depth++
		case letter == '}' || letter == ']':
			depth--
		}
	}
	if depth > 0 || quoted {
		return fmt.Errorf("%w in JSON", io.ErrUnexpectedEOF)
	}
	return errNotJSON
}
