package main

import "testing"

func TestNamesThatDifferByCaseAloneAreEachSeen(t *testing.T) {
	const rule = "SecRuleEngine On\nSecRequestBodyAccess On\nInclude @coraza.conf-recommended\nSecRuleEngine On\n" +
		"SecRule ARGS \"@contains attack\" \"id:1,phase:2,deny,status:403\"\n"
	agent := start(t, apps(map[string]string{"names": rule}))
	c := dial(t, agent.socket)
	form := "content-type: application/x-www-form-urlencoded\r\n"
	multipart := "content-type: multipart/form-data; boundary=b\r\n"
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}

	for range 20 { // which of the two was lost was up to chance
		for name, one := range map[string]request{
			"query":     {query: "q=attack&Q=1"},
			"form":      {method: "POST", headers: form, body: "q=attack&Q=1"},
			"form, too": {method: "POST", headers: form, body: "q=1&Q=attack"},
			"JSON":      {method: "POST", headers: "content-type: application/json\r\n", body: `{"q":"attack","Q":"1"}`},
			"JSON, too": {method: "POST", headers: "content-type: application/json\r\n", body: `{"q":"1","Q":"attack"}`},
			"multipart": {method: "POST", headers: multipart, body: part("q", "attack") + part("Q", "1") + "--b--\r\n"},
			"cookie":    {headers: "cookie: q=1\r\n", query: "q=1&Q=attack"},
		} {
			one.app = "names"
			if answer := c.ask(one); answer["action"] != "deny" {
				t.Fatalf("%s: %v", name, answer)
			}
		}
	}
}
