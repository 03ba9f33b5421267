package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func validated(t *testing.T, applications []ApplicationConfig) (int, validation) {
	t.Helper()
	s := &started{dir: t.TempDir()}
	s.file = s.dir + "/y"
	s.socket = s.dir + "/a"
	s.write(t, applications)
	var out, errs bytes.Buffer
	code := runValidate(s.file, &out, &errs)
	var document validation
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err, out.String(), errs.String())
	}
	return code, document
}

func TestValidNamesApplicationsAndTheirRules(t *testing.T) {
	code, document := validated(t, []ApplicationConfig{{Name: "one", Directives: crs()}})

	if code != 0 || !document.Valid || len(document.Errors) != 0 || document.Applications[0].Rules < 300 {
		t.Errorf("%d %+v", code, document)
	}
}

func TestTheLineOfABadDirectiveIsFound(t *testing.T) {
	cases := map[string]struct {
		directives string
		line       int
		directive  string
	}{
		"in the middle":          {"SecRuleEngine On\n\n# a comment\nSecNonsense On\nSecRequestBodyAccess On\n", 4, "SecNonsense"},
		"first":                  {"SecNonsense On\nSecRuleEngine On\n", 1, "SecNonsense"},
		"last":                   {"SecRuleEngine On\nSecRule ARGS \"@nonsense x\" \"id:1,phase:2,pass\"\n", 2, "@nonsense"},
		"over several lines":     {"SecRuleEngine On\nSecRule ARGS \"@rx (\" \\\n  \"id:2,phase:2,\\\n  pass\"\nSecRequestBodyAccess On\n", 2, "@rx ("},
		"a doubled id":           {"SecAction \"id:7,phase:1,pass\"\nSecRuleEngine On\nSecAction \"id:7,phase:1,pass\"\n", 3, "id:7"},
		"after the whole CRS":    {crs() + "SecRuleUpdateTargetById 424242 \"!ARGS:x\"\n", 10, "424242"},
		"a comment within":       {"SecRuleEngine On\nSecRule ARGS \\\n# a comment\n\n \"@nonsense x\" \\\n \"id:2,phase:2,pass\"\nSecRuleEngine On\n", 2, "@nonsense"},
		"a data set before":      {"SecDataset words `\none\ntwo\n`\nSecNonsense On\n", 5, "SecNonsense"},
		"nothing after the end":  {"SecRuleEngine On\nSecAction \\\n \"id:1,phase:1,pass\" \\\n", 2, "SecAction"},
		"a line too long":        {"SecRuleEngine On\nSecAction \"id:1,phase:1,pass,msg:'" + strings.Repeat("x", 70_000) + "'\"\n", 2, "SecAction"},
		"a panic of Coraza":      {"SecAction \"id:1,phase:1,pass\"\nSecRuleRemoveByMsg \"x\"\n", 2, "SecRuleRemoveByMsg"},
		"without a last newline": {"SecRuleEngine On\nSecNonsense On", 2, "SecNonsense"},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			code, document := validated(t, []ApplicationConfig{{Name: "good", Directives: small}, {Name: "bad", Directives: one.directives}})
			if code != exitInvalid || document.Valid || len(document.Errors) != 1 {
				t.Fatalf("%d %+v", code, document)
			}
			found := document.Errors[0]
			if found.Application != "bad" || found.Line != one.line || !strings.Contains(found.Directive, one.directive) || found.Message == "" {
				t.Errorf("found %+v", found)
			}
		})
	}
}

func TestEveryBadApplicationIsNamed(t *testing.T) {
	_, document := validated(t, []ApplicationConfig{{Name: "a", Directives: "SecNonsense\n"}, {Name: "b", Directives: "SecRuleEngine Maybe\n"}})

	if len(document.Errors) != 2 {
		t.Errorf("%+v", document.Errors)
	}
}

func TestAFileThatCannotBeReadIsSaidOnStderr(t *testing.T) {
	for name, content := range map[string]string{
		"unknown key":     "bind: unix:/a\nnonsense: 1\n",
		"doubled name":    "bind: unix:/a\napplications: [{name: a, directives: ''}, {name: a, directives: ''}]\n",
		"no name":         "bind: unix:/a\napplications: [{directives: ''}]\n",
		"bad bind":        "bind: nowhere\napplications: []\n",
		"no ttl":          "bind: unix:/a\napplications: [{name: a, response_check: true}]\n",
		"missing default": "bind: unix:/a\ndefault_application: b\napplications: [{name: a}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/y"
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			if code := runValidate(path, &out, &errs); code != exitCannotRun || errs.Len() == 0 || out.Len() != 0 {
				t.Errorf("%d %q %q", code, out.String(), errs.String())
			}
		})
	}
}

func TestBothWritingsOfAUnixSocketAreRead(t *testing.T) {
	for bind, wanted := range map[string]string{"unix:///run/a.sock": "/run/a.sock", "unix:/run/a.sock": "/run/a.sock"} {
		if network, address, err := (&Config{Bind: bind}).address(); network != "unix" || address != wanted || err != nil {
			t.Error(bind, network, address, err)
		}
	}
	if network, address, err := (&Config{Bind: "127.0.0.1:9000"}).address(); network != "tcp" || address != "127.0.0.1:9000" || err != nil {
		t.Error(network, address, err)
	}
}
