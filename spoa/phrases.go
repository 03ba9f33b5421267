package main

import (
	"io/fs"
	"path"
	"strings"
)

const (
	ruleSetFolder = "@owasp_crs"
	mostPhrases   = 2_000 // of a link; the longest list of CRS 4.25 has 1,842
)

// readPhrases reads the phrase lists of the rule and the links of its chain.
func (r *Rule) readPhrases() error {
	if err := r.Link.readPhrases(); err != nil {
		return err
	}
	for at := range r.Chain {
		if err := r.Chain[at].readPhrases(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Link) readPhrases() error {
	name, files, _ := strings.Cut(strings.TrimPrefix(l.Operator, "!"), " ")
	if name != "@pmFromFile" && name != "@pmf" {
		return nil
	}
	content, err := fs.ReadFile(included, path.Join(ruleSetFolder, strings.TrimPrefix(files, ruleSetFolder+"/")))
	if err != nil {
		return err
	}
	phrases := phrasesOf(string(content))
	l.PhraseCount, l.Phrases = len(phrases), phrases[:min(len(phrases), mostPhrases)]
	return nil
}

// phrasesOf reads a list as Coraza does (internal/operators/pm_from_file.go): trimmed lines in lower case, without empty ones and
// comments.
func phrasesOf(content string) (phrases []string) {
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			phrases = append(phrases, strings.ToLower(line))
		}
	}
	return phrases
}
