package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONThatIsCutAnywhereIsReadable(t *testing.T) {
	bodies := []string{
		`{"a": "x\\\"y\u00e9z", "b": [1, -2.5e3, true, null, {"c": {}}, []], "": "q' or 1=1"}`,
		`[{"a":1},{"a":2}]`, `"only \u0041 text"`, `12345`, ` { } `,
	}
	for _, body := range bodies {
		for cut := range len(body) + 1 {
			if closed := closedJSON(body[:cut]); !json.Valid([]byte(closed)) {
				t.Errorf("%s is closed as %s", body[:cut], closed)
			}
		}
	}
}

func TestWhatIsThereOfACutTextIsKept(t *testing.T) {
	for body, want := range map[string]string{
		`{"q": "1' or '1'='1`:    `{"q": "1' or '1'='1"}`,
		`{"q": ["a", "b\u00`:     `{"q": ["a", "b"]}`,
		`{"a": 12, "b": 1`:       `{"a": 12, "b":null}`,
		`{"a": 12, "nam`:         `{"a": 12, "nam":null}`,
		`{"a": {"b": [`:          `{"a": {"b": []}}`,
		`[1, 2, `:                `[1, 2]`,
		`{"a": "\\`:              `{"a": "\\"}`,
		`{"a": "\`:               `{"a": ""}`,
		`{"a" : "x" , "b" : tru`: `{"a" : "x" , "b" :null}`,
	} {
		if got := closedJSON(body); got != want {
			t.Errorf("%s is closed as %s", body, got)
		}
	}
}

func TestABodyThatIsOnlyBegunIsNotMalformedAndIsJudged(t *testing.T) {
	const attack = "1' union select password from users--"
	c := dial(t, start(t, apps(map[string]string{"p": strings.Replace(crs(), "SecRuleEngine On", "SecRuleEngine DetectionOnly", 1)})).socket)
	part := "--xyz\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n"
	for kind, body := range map[string]string{
		"application/json":                  `{"a": [1, 2, {"q": "hello`,
		"multipart/form-data; boundary=xyz": part + "hello",
		"text/xml":                          "<a><b>hello",
		"application/x-www-form-urlencoded": "a=1&q=hello",
	} {
		headers := "host: shop.example\r\nuser-agent: t\r\naccept: */*\r\ncontent-length: 999999\r\ncontent-type: " + kind + "\r\n"
		ask := func(text string) string {
			r := request{app: "p", method: "POST", headers: headers, body: strings.Replace(body, "hello", text, 1), partial: true}
			return c.ask(r)["rule_ids"].(string)
		}
		if rules := ask("hello"); rules != "" {
			t.Errorf("%s fires %s", kind, rules)
		}
		if rules := ask("hell\xc3"); rules != "" {
			t.Errorf("%s, cut within a letter, fires %s", kind, rules)
		}
		if rules := ask(attack); !strings.Contains(rules, "942100") {
			t.Errorf("%s: of an attack fires %q", kind, rules)
		}
	}
}
