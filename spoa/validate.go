package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Problem is a directive that Coraza rejects. Line is 1-based within the application's directives, 0 if unknown.
type Problem struct {
	Application string `json:"application"`
	Line        int    `json:"line"`
	Directive   string `json:"directive"`
	Message     string `json:"message"`
}

// refusal joins problems into an error for logs.
type refusal []Problem

func (r refusal) Error() string {
	words := make([]string, len(r))
	for at, one := range r {
		words[at] = fmt.Sprintf("application %s, line %d: %s", one.Application, one.Line, one.Message)
	}
	return strings.Join(words, "; ")
}

type validation struct {
	Valid        bool                   `json:"valid"`
	Errors       []Problem              `json:"errors"`
	Applications []validatedApplication `json:"applications"`
}

type validatedApplication struct {
	Name    string  `json:"name"`
	Rules   int     `json:"rules"`
	Seconds float64 `json:"seconds"`
}

// runValidate prints a JSON document and returns the exit code: 0 valid, 1 invalid, 2 cannot run.
func runValidate(path string, out, errs io.Writer) int {
	config, err := readConfig(path)
	if err != nil {
		fmt.Fprintln(errs, err)
		return exitCannotRun
	}
	document := newValidation(compileAll(config.Applications))
	if err := json.NewEncoder(out).Encode(document); err != nil {
		return exitCannotRun
	}
	if !document.Valid {
		return exitInvalid
	}
	return 0
}

func newValidation(built []compiled, problems []Problem) validation {
	document := validation{Valid: len(problems) == 0, Errors: problems, Applications: []validatedApplication{}}
	if document.Errors == nil {
		document.Errors = []Problem{}
	}
	for _, one := range built {
		document.Applications = append(document.Applications, validatedApplication{
			one.application.Config.Name, one.application.Rules, one.seconds,
		})
	}
	return document
}

// directive is a logical line: a directive with its continuation lines.
type directive struct {
	line int
	text string
}

// locate finds the first directive that Coraza rejects. Coraza does not report a usable line, so the shortest failing
// prefix of directives is found by bisection. Each step costs one compilation.
func locate(config ApplicationConfig, refused error) *Problem {
	lines := logicalLines(config.Directives)
	low, high := 0, len(lines) // the prefix of length `high` fails, that of `low` does not
	for high-low > 1 {
		middle := (low + high) / 2
		if prefixCompiles(config, lines[:middle]) {
			low = middle
		} else {
			high = middle
		}
	}
	problem := &Problem{Application: config.Name, Message: refused.Error()}
	if high > 0 && high <= len(lines) {
		problem.Line = lines[high-1].line
		problem.Directive = lines[high-1].text
	}
	return problem
}

func prefixCompiles(config ApplicationConfig, lines []directive) bool {
	texts := make([]string, len(lines))
	for at, one := range lines {
		texts[at] = one.text
	}
	config.Directives = strings.Join(texts, "\n") + "\n"
	config.ResponseCheck = false
	application, err := compile(config)
	if err != nil {
		return false
	}
	application.retire()
	return true
}

// logicalLines splits directives like Coraza's parser: a backslash at the end continues on the next line, and so do all
// lines between two backticks. Empty lines and comments are ignored everywhere, even within a directive.
func logicalLines(text string) []directive {
	var found []directive
	var open []string
	start, inBackticks := 0, false
	for at, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if len(open) == 0 {
			start = at + 1
		}
		open = append(open, line)
		switch {
		case !inBackticks && strings.HasSuffix(trimmed, "`"):
			inBackticks = true
		case inBackticks && trimmed[0] == '`':
			inBackticks = false
		}
		if inBackticks || strings.HasSuffix(trimmed, `\`) {
			continue
		}
		found = append(found, directive{start, strings.Join(open, "\n")})
		open = nil
	}
	if len(open) > 0 {
		found = append(found, directive{start, strings.Join(open, "\n")})
	}
	return found
}

// checkLines rejects what Coraza would silently drop: a directive that continues past the end of the text, and
// everything after a line longer than its scanner accepts.
func checkLines(text string) error {
	last := ""
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) >= bufio.MaxScanTokenSize-1 {
			return fmt.Errorf("line is %d bytes; Coraza would silently drop it and the rest", len(line))
		}
		if trimmed := strings.TrimSpace(line); trimmed != "" && trimmed[0] != '#' {
			last = trimmed
		}
	}
	if strings.HasSuffix(last, `\`) {
		return errors.New("last line ends with a backslash; Coraza would silently drop the directive")
	}
	return nil
}
