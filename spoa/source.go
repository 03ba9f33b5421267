package main

import (
	"bufio"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// ruleLines is a rule or a link of a chain as written in a file, with its lines, counted from 1.
type ruleLines struct {
	file        string
	first, last int
}

// sources are the rule set's files: where each rule is written, and how.
type sources struct {
	lines      map[string][]string // by file
	directives []ruleLines         // in order: the links of a chain follow its first rule
	at         map[string]int      // by the text that Coraza keeps of a directive
}

// isRule reports whether a directive creates a rule or a link of a chain.
var isRule = regexp.MustCompile(`^(?i:SecRule|SecAction)\s`)

// readSources reads the files that an Include pattern matches.
func readSources(patterns ...string) (*sources, error) {
	read := &sources{lines: map[string][]string{}, at: map[string]int{}}
	for _, pattern := range patterns {
		names, err := fs.Glob(included, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			content, err := fs.ReadFile(included, name)
			if err != nil {
				return nil, err
			}
			read.add(path.Base(name), string(content))
		}
	}
	return read, nil
}

// add joins lines as Coraza's parser does: it trims lines, drops comments, and continues after a backslash.
func (s *sources) add(file, content string) {
	var joined strings.Builder
	first := 0
	scanner := bufio.NewScanner(strings.NewReader(content))
	scanner.Buffer(nil, len(content)+1)
	for scanner.Scan() {
		s.lines[file] = append(s.lines[file], scanner.Text())
		line := strings.TrimSpace(scanner.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if first == 0 {
			first = len(s.lines[file])
		}
		if text, goesOn := strings.CutSuffix(line, `\`); goesOn {
			joined.WriteString(text)
			continue
		}
		joined.WriteString(line)
		if text := joined.String(); isRule.MatchString(text) {
			s.at[text] = len(s.directives)
			s.directives = append(s.directives, ruleLines{file, first, len(s.lines[file])})
		}
		joined.Reset()
		first = 0
	}
}

// written returns where a rule with this number of links begins, and its text with all links, with the file's line
// breaks. `raw` is Coraza's copy, one link per line.
func (s *sources) written(raw string, links int) (file string, line int, text string) {
	own, _, _ := strings.Cut(raw, " \n")
	at, found := s.at[own]
	if !found || at+links > len(s.directives) {
		return "", 0, raw
	}
	first, last := s.directives[at], s.directives[at+links-1]
	return first.file, first.first, strings.Join(s.lines[first.file][first.first-1:last.last], "\n")
}
