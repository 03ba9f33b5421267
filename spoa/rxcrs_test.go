package main

import (
	"cmp"
	"encoding/base64"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	crstests "github.com/corazawaf/coraza-coreruleset/v4/tests"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"gopkg.in/yaml.v3"
)

// strictest is the rule set with every rule at work, and none that ends a request early.
var strictest = sync.OnceValue(func() string {
	levels := `SecAction "id:100001,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=4,setvar:tx.detection_paranoia_level=4"`
	return strings.NewReplacer("SecRuleEngine On", "SecRuleEngine DetectionOnly",
		"Include @owasp_crs", levels+"\nInclude @owasp_crs").Replace(crs())
})

// crsRequests are the requests of CRS's own tests (https://github.com/coreruleset/go-ftw, "YAML format").
func crsRequests(t testing.TB) []Message {
	t.Helper()
	var requests []Message
	err := fs.WalkDir(crstests.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(crstests.FS, path)
		if err != nil {
			return err
		}
		var file crsFile
		if err := yaml.Unmarshal(content, &file); err != nil {
			return err
		}
		for _, test := range file.Tests {
			for _, stage := range test.Stages {
				requests = append(requests, stage.Input.message())
			}
		}
		return nil
	})
	if err != nil || len(requests) < 4_000 {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	return requests
}

type crsFile struct {
	Tests []struct {
		Stages []struct {
			Input crsInput `yaml:"input"`
		} `yaml:"stages"`
	} `yaml:"tests"`
}

type crsInput struct {
	Method         string            `yaml:"method"`
	URI            string            `yaml:"uri"`
	Version        string            `yaml:"version"`
	Headers        map[string]string `yaml:"headers"`
	Data           string            `yaml:"data"`
	EncodedRequest string            `yaml:"encoded_request"`
}

func (i crsInput) message() Message {
	headers := &strings.Builder{}
	for _, name := range slices.Sorted(maps.Keys(i.Headers)) {
		headers.WriteString(name + ": " + i.Headers[name] + "\r\n")
	}
	message := Message{Method: cmp.Or(i.Method, "GET"), Version: "1.1", Headers: headers.String(), Body: []byte(i.Data)}
	if _, version, found := strings.Cut(i.Version, "/"); found {
		message.Version = version
	}
	message.Path, message.Query, _ = strings.Cut(cmp.Or(i.URI, "/"), "?")
	if raw, err := base64.StdEncoding.DecodeString(i.EncodedRequest); err == nil && len(raw) > 0 {
		head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
		_, message.Headers, _ = strings.Cut(head, "\r\n")
		message.Body = []byte(body)
	}
	return message
}

// recording is an `@rx` that notes each pattern and each value that it is asked about.
type recording struct {
	patterns map[string]bool
	values   map[string]bool
}

type recorder struct {
	plugintypes.Operator
	into *recording
}

func (r recorder) Evaluate(transaction plugintypes.TransactionState, value string) bool {
	r.into.values[strings.Clone(value)] = true
	return r.Operator.Evaluate(transaction, value)
}

// record compiles the rule set with a recording operator; `judge` then has it asked. The values are those that rules see:
// decoded, transformed, of every variable.
func record(t testing.TB) (into *recording, application *Application) {
	t.Helper()
	into = &recording{map[string]bool{}, map[string]bool{}}
	plugins.RegisterOperator("rx", func(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		into.patterns[options.Arguments] = true
		own, err := newRX(options)
		return recorder{own, into}, err
	})
	defer plugins.RegisterOperator("rx", newRX)
	application, err := compile(ApplicationConfig{Name: "recorded", Directives: strictest()})
	if err != nil {
		t.Fatal(err)
	}
	return into, application
}

func ask(t testing.TB, application *Application, message Message) {
	t.Helper()
	application.enter()
	if _, err := inspectRequest(application, message); err != nil {
		t.Fatal(err)
	}
}
