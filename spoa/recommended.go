package main

import (
	_ "embed"
	"io/fs"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
)

// recommendedName is what an application includes for Coraza's recommendations.
const recommendedName = "@coraza.conf-recommended"

//go:embed recommended.conf
var recommended []byte

// included are the files that applications can include: the rule set, with its older copy of Coraza's recommendations
// replaced by the linked version's.
var included fs.FS = includedFiles{coreruleset.FS}

type includedFiles struct{ fs.FS }

func (f includedFiles) ReadFile(name string) ([]byte, error) {
	if strings.HasSuffix(name, recommendedName) {
		return recommended, nil
	}
	return fs.ReadFile(f.FS, name)
}
