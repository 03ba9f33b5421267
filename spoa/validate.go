package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Problem is a directive that Coraza refuses. Line is 1-based within the application's directives, 0 if unknown.
type Problem struct {
	Application string `json:"application"`
	Line        int    `json:"line"`
	Directive   string `json:"directive"`
	Message     string `json:"message"`
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

// runValidate prints one JSON document and gives the exit code: 0 valid, 1 invalid, 2 cannot run.
func runValidate(path string, out, errs io.Writer) int {
	config, err := readConfig(path)
	if err != nil {
		fmt.Fprintln(errs, err)
		return exitCannotRun
	}
	built, problems := compileAll(config.Applications)
	document := validation{Valid: len(problems) == 0, Errors: problems, Applications: []validatedApplication{}}
	if document.Errors == nil {
		document.Errors = []Problem{}
	}
	for _, one := range built {
		document.Applications = append(document.Applications, validatedApplication{
			one.application.Config.Name, len(one.application.Rules), one.seconds,
		})
	}
	if err := json.NewEncoder(out).Encode(document); err != nil {
		return exitCannotRun
	}
	if !document.Valid {
		return exitInvalid
	}
	return 0
}

// directive is one logical line: a directive with its continuation lines.
type directive struct {
	line int
	text string
}

// locate finds the first directive that Coraza refuses. Coraza gives no usable line itself, so the shortest prefix of
// directives that fails is looked for by bisection; what is already known to be wrong costs a compile per step.
func locate(config ApplicationConfig, refused error) *Problem {
	lines := logicalLines(config.Directives)
	low, high := 0, len(lines) // the prefix of `high` directives fails, that of `low` does not
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

// logicalLines splits directives as Coraza does: a backslash at the end goes on, and so does a line while a backtick
// is open. Empty lines and comments are left out.
func logicalLines(text string) []directive {
	var found []directive
	var open strings.Builder
	start, inBackticks := 0, false
	for at, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if open.Len() == 0 {
			if trimmed == "" || strings.HasPrefix(trimmed, "#") {
				continue
			}
			start = at + 1
		} else {
			open.WriteString("\n")
		}
		open.WriteString(line)
		if strings.Count(line, "`")%2 == 1 {
			inBackticks = !inBackticks
		}
		if inBackticks || strings.HasSuffix(trimmed, "\\") {
			continue
		}
		found = append(found, directive{start, open.String()})
		open.Reset()
	}
	if open.Len() > 0 {
		found = append(found, directive{start, open.String()})
	}
	return found
}
