package main

import (
	"fmt"
	"runtime/debug"
)

const version = "0.1.0"

// moduleVersion reads the version of an embedded module from the binary itself.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version[1:]
		}
	}
	return "unknown"
}

func corazaVersion() string { return moduleVersion("github.com/corazawaf/coraza/v3") }

func crsVersion() string { return moduleVersion("github.com/corazawaf/coraza-coreruleset/v4") }

func versions() string {
	return fmt.Sprintf("guardpanel-spoa %s, Coraza %s, OWASP CRS %s", version, corazaVersion(), crsVersion())
}
