package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// usesIn adds up what the lines of a directory say of each exclusion.
func usesIn(t *testing.T, dir string) map[int]int {
	t.Helper()
	found := map[int]int{}
	for _, raw := range rawLines(t, dir) {
		var line struct{ Uses [][3]int }
		if err := json.Unmarshal([]byte(raw), &line); err != nil {
			t.Fatal(err)
		}
		for _, one := range line.Uses {
			found[one[0]] += one[1]
			if age := time.Now().Unix() - int64(one[2]); age < 0 || age > 600 {
				t.Errorf("last use %d", one[2])
			}
		}
	}
	return found
}

const excluding = `SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_FILENAME "@streq /posts" "id:110000,phase:1,pass,nolog,tag:'guardpanel/exclusion/17',t:none,chain"
SecRule REQUEST_METHOD "@streq POST" "t:none,ctl:ruleRemoveTargetById=942100;ARGS:content"
SecRule REQUEST_FILENAME "@streq /posts" "id:110001,phase:1,pass,nolog,tag:'guardpanel/exclusion/17',t:none,chain"
SecRule REQUEST_METHOD "@streq POST" "t:none,ctl:ruleRemoveTargetById=942110;ARGS:content"
SecAction "id:110002,phase:1,pass,nolog,tag:'guardpanel/exclusion/18',t:none,ctl:ruleRemoveTargetById=942120;ARGS:q"
SecRule ARGS:action "@streq save" "id:110003,phase:2,pass,nolog,tag:'guardpanel/exclusion/19',t:none,ctl:ruleRemoveTargetById=942130;ARGS:q"
SecRule REQUEST_FILENAME "@streq /never" "id:110004,phase:1,pass,nolog,tag:'guardpanel/exclusion/20',t:none,ctl:ruleRemoveTargetById=942140;ARGS:q"
SecRule ARGS:q "@streq bad" "id:942999,phase:2,deny,status:403,log,msg:'bad'"
`

func TestUsesOfExclusionsAreCountedWithoutTheProbes(t *testing.T) {
	dir := t.TempDir()
	s := startIn(t, apps(map[string]string{"one": excluding}), dir)
	c := dial(t, s.socket)
	posts := request{app: "one", method: "POST", path: "/posts", query: "action=save"}
	c.ask(posts)
	c.ask(posts)
	c.ask(request{app: "one", path: "/posts", query: "q=bad"})
	c.ask(request{app: "one", probe: true})
	s.drain()

	want := map[int]int{17: 2, 18: 3, 19: 2}
	if found := usesIn(t, dir); len(found) != len(want) || found[17] != 2 || found[18] != 3 || found[19] != 2 {
		t.Errorf("uses %v, not %v", found, want)
	}
}

func TestWithoutExclusionsNothingIsCountedAndNoLineWritten(t *testing.T) {
	var none uses
	if none.of("SecRuleEngine On\n") != nil || len(none.appendJSON(nil, time.Now())) > 0 {
		t.Error("something is counted")
	}
}

func TestUsesBeginAnewOnceTheyAreWritten(t *testing.T) {
	var some uses
	counter := some.of(excluding)[110002]
	counter.requests.Add(5)
	first, second := string(some.appendJSON(nil, time.Now())), string(some.appendJSON(nil, time.Now()))
	if !strings.Contains(first, "[18,5,") || !strings.HasPrefix(second, `{"v":1,"uses":[],`) {
		t.Error(first, second)
	}
}

func BenchmarkUsesOfExclusions(b *testing.B) {
	application, err := compile(ApplicationConfig{Name: "one", Directives: excluding})
	if err != nil {
		b.Fatal(err)
	}
	application.observedBy(&Events{})
	transaction := application.waf.NewTransaction()
	defer finish(transaction)
	if _, err := processRequest(transaction, Message{Method: "POST", Path: "/posts", Query: "action=save"}); err != nil {
		b.Fatal(err)
	}
	matched := transaction.MatchedRules()
	b.ReportAllocs()
	for b.Loop() {
		application.countUses(Message{}, matched)
	}
}
