package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Every list is sent whole, and the engine matches its phrases: its first, its last, and not what it lacks.
func TestTheCatalogueHasThePhrasesThatTheEngineMatches(t *testing.T) {
	lists := map[string][]string{}
	for id, rule := range testCatalogue(t) {
		for _, link := range append([]Link{rule.Link}, rule.Chain...) {
			operator, name, _ := strings.Cut(strings.TrimPrefix(link.Operator, "!"), " ")
			if isList := operator == "@pmFromFile"; isList != (link.PhraseCount > 0) || len(link.Phrases) != link.PhraseCount {
				t.Errorf("%d: %s has %d of %d phrases", id, link.Operator, len(link.Phrases), link.PhraseCount)
			} else if isList {
				lists[name] = link.Phrases
			}
		}
	}
	if len(lists) < 15 {
		t.Fatalf("only %d lists", len(lists))
	}
	for name, phrases := range lists {
		application := compiledFor(t, fmt.Sprintf(
			"SecRuleEngine DetectionOnly\nSecRule ARGS:a \"@pmFromFile %s/%s\" \"id:7,phase:1,pass,log,msg:'listed'\"\n", ruleSetFolder, name))
		matches := func(phrase string) bool {
			fired := evaluation(t, application, get("/?a="+url.QueryEscape(phrase))).Rules
			return slices.ContainsFunc(fired, func(rule EvaluatedRule) bool { return rule.ID == 7 })
		}
		if !matches(phrases[0]) || !matches(phrases[len(phrases)-1]) || matches("\x01") {
			t.Errorf("%s: %q to %q", name, phrases[0], phrases[len(phrases)-1])
		}
	}
}

func TestALongListIsCutAndItsCountKept(t *testing.T) {
	phrases := phrasesOf("# License\n\n  Two Words \r\n\t#not one\n" + strings.Repeat("x\n", 3) + "last")
	if want := []string{"two words", "x", "x", "x", "last"}; !slices.Equal(phrases, want) {
		t.Errorf("%q, want %q", phrases, want)
	}
}
