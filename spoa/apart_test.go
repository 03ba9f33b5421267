package main

import (
	"slices"
	"testing"
)

// What passes by chance: so often asked, a value that is taken for another one shows.
const asked = 150

func TestOfTwoCookiesOfOneNameBothAreInspectedEachTime(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs()}))
	request := get("/")
	request.Headers = append(request.Headers, [2]string{"cookie", "a=1; a=<script>alert(1)</script>; b=2; c=3"})

	firesEachTime(t, agent, request, "941100")
}

func TestTheHeadersOfAPartAreAllInspectedEachTime(t *testing.T) {
	agent := start(t, apps(map[string]string{"crs": crs()}))
	part := func(name, header string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n" + header + "\r\n1\r\n"
	}

	body := part("a", "") + part("c", "") + part("q", "Content-Transfer-Encoding: base64\r\n") + "--b--\r\n"
	firesEachTime(t, agent, post("/", "multipart/form-data; boundary=b", body), "922120")
}

func firesEachTime(t *testing.T, agent *started, request *QuestionRequest, rule string) {
	t.Helper()
	for range asked {
		if _, evaluation, _ := agent.evaluated(t, Question{Application: "crs", Request: request}); !slices.Contains(evaluation.RuleIDs, rule) {
			t.Fatalf("%s does not fire, but %v", rule, evaluation.RuleIDs)
		}
	}
}
