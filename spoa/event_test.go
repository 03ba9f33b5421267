package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// line is an event as a reader sees it.
type line struct {
	Version     int `json:"v"`
	Time        time.Time
	ID          string
	Application string
	CRS         string
	Phase       string
	Verdict     string
	Action      string
	Status      int
	Rule        int
	Answer      int `json:"response_status"`
	Scores      map[string]int
	Client      string
	Port        int `json:"client_port"`
	Host        string
	Method      string
	URI         string
	URICut      bool   `json:"uri_cut"`
	HTTP        string `json:"version"`
	Headers     [][2]string
	Body        string
	BodyBytes   int  `json:"body_bytes"`
	BodyCut     bool `json:"body_cut"`
	BodyUnread  bool `json:"body_unread"`
	Rules       []struct {
		ID       int
		Phase    int
		Severity string
		Level    string `json:"paranoia_level"`
		Message  string
		Data     string
		Tags     []string
		Matches  []struct {
			Variable, Key, Value string
			Bytes                int
			Cut                  bool `json:"value_cut"`
		}
	}
}

// startWithEvents gives an agent and what reads its events: all that were made, once it has ended.
func startWithEvents(t *testing.T, applications []ApplicationConfig) (*started, func() []line) {
	t.Helper()
	dir := t.TempDir()
	agent := startIn(t, applications, dir)
	return agent, func() []line {
		agent.drain()
		return readLines(t, dir)
	}
}

func readLines(t *testing.T, dir string) (lines []line) {
	t.Helper()
	for _, text := range rawLines(t, dir) {
		var one line
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		lines = append(lines, one)
	}
	return lines
}

func rawLines(t *testing.T, dir string) (lines []string) {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+segmentEnding))
	slices.Sort(paths)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	return lines
}

const attack = "id=1%27%20OR%20%271%27=%271"

func TestAnEventHoldsAllOfARequest(t *testing.T) {
	agent, ended := startWithEvents(t, apps(map[string]string{"block": crs(), "detect": detecting()}))
	c := dial(t, agent.socket)
	c.ask(request{app: "block", id: "one", path: "/list", query: attack, headers: "host: shop.example\r\nuser-agent: t\r\naccept: */*\r\nx-empty:\r\n"})
	c.ask(request{app: "detect", id: "two", query: attack})
	c.ask(request{app: "block", id: "clean"})
	c.ask(request{app: "block", id: "ours", query: attack, probe: true})

	lines := ended()

	if len(lines) != 2 || lines[0].ID != "one" || lines[1].ID != "two" {
		t.Fatalf("events are %+v", lines)
	}
	one := lines[0]
	if one.Version != 1 || time.Since(one.Time) > time.Hour || one.Application != "block" || one.CRS != crsVersion() || one.Phase != "request" ||
		one.Verdict != "blocked" || one.Action != "deny" || one.Status != 403 || one.Rule != 949110 || one.Client != "127.0.0.1" ||
		one.Port != 4000 || one.Host != "shop.example" || one.Method != "GET" || one.URI != "/list?"+attack || one.HTTP != "1.1" {
		t.Errorf("the request is %+v", one)
	}
	if !slices.Equal(one.Headers, [][2]string{{"host", "shop.example"}, {"user-agent", "t"}, {"accept", "*/*"}, {"x-empty", ""}}) {
		t.Errorf("headers are %v", one.Headers)
	}
	if one.Scores["blocking_inbound_anomaly_score"] != 5 || one.Scores["inbound_anomaly_score_threshold"] != 5 {
		t.Errorf("scores are %v", one.Scores)
	}
	if len(one.Rules) != 2 || one.Rules[0].ID != 942100 || one.Rules[1].ID != 949110 {
		t.Fatalf("rules are %+v", one.Rules)
	}
	rule := one.Rules[0]
	if rule.Phase != 2 || rule.Severity != "critical" || rule.Level != "1" || !strings.HasPrefix(rule.Message, "SQL Injection") ||
		!slices.Contains(rule.Tags, "attack-sqli") || rule.Data != "Matched Data: s&sos found within ARGS:id: 1' OR '1'='1" {
		t.Errorf("the rule is %+v", rule)
	}
	if len(rule.Matches) != 1 || rule.Matches[0].Variable != "ARGS_GET" && rule.Matches[0].Variable != "ARGS" || rule.Matches[0].Key != "id" ||
		rule.Matches[0].Value != "1' OR '1'='1" {
		t.Errorf("it matched %+v", rule.Matches)
	}
	if two := lines[1]; two.Verdict != "detected" || two.Action != "" || two.Scores["blocking_inbound_anomaly_score"] != 5 {
		t.Errorf("what is only detected is %+v", two)
	}
}

func detecting() string {
	return strings.Replace(crs(), "SecRuleEngine On", "SecRuleEngine DetectionOnly", 1)
}

func TestARequestAndItsResponseAreOneEvent(t *testing.T) {
	both := ApplicationConfig{Name: "both", Directives: detecting(), ResponseCheck: true, TransactionTTLMS: 60_000}
	agent, ended := startWithEvents(t, []ApplicationConfig{both})
	c := dial(t, agent.socket)
	for _, id := range []string{"answered", "unanswered"} {
		c.ask(request{app: "both", id: id, query: attack})
	}
	c.notify(encodeMessage("coraza-res", [][]byte{
		kv(nil, "app", str("both")), kv(nil, "id", str("answered")), kv(nil, "version", str("1.1")), kv(nil, "status", int32Value(500)),
		kv(nil, "headers", str("content-type: text/html\r\n")), kv(nil, "exportRuleIDs", boolean(true)),
		kv(nil, "body", bin("You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version")),
	}))

	lines := ended()

	if len(lines) != 2 || lines[0].ID != "answered" || lines[0].Phase != "response" || lines[0].Answer != 500 || lines[1].Phase != "request" {
		t.Fatalf("events are %+v", lines)
	}
	var ids []int
	for _, rule := range lines[0].Rules {
		ids = append(ids, rule.ID)
	}
	if !slices.Contains(ids, 942100) || !slices.Contains(ids, 951230) || lines[0].URI != "/?"+attack {
		t.Errorf("rules are %v", ids)
	}
}

func TestAnEventHoldsEveryByteAsValidJSON(t *testing.T) {
	agent, ended := startWithEvents(t, apps(map[string]string{"small": small}))
	hostile := "attack\x00\x01\x1b[31m\"\\</script>\u2028\x7f\x80\xff\xc0\xaf\xed\xa0\x80\U0001f600\xf0\x9f"
	dial(t, agent.socket).ask(request{app: "small", id: hostile, query: "a=attack", headers: "host: a\r\nx-raw: " + hostile + "\r\n", body: hostile})

	ended()

	raw := rawLines(t, agent.events)
	if len(raw) != 1 || !json.Valid([]byte(raw[0])) {
		t.Fatalf("lines are %q", raw)
	}
	// Go's reader loses unpaired surrogates: the bytes are compared as they were written.
	written := string(appendText(nil, hostile))
	if strings.Count(raw[0], written) != 3 || !strings.Contains(raw[0], `"body":`+written) {
		t.Errorf("%q does not hold %q", raw[0], written)
	}
	for _, escape := range []string{`\u0000`, `\u001b`, `\u007f`, `\udc80\udcff\udcc0\udcaf\udced\udca0\udc80`, "\U0001f600", `\udcf0\udc9f"`} {
		if !strings.Contains(written, escape) {
			t.Errorf("%s does not hold %s", written, escape)
		}
	}
}

func TestSecretsAreInNoPartOfAnEvent(t *testing.T) {
	any := `SecRule REQUEST_URI|ARGS|ARGS_NAMES|REQUEST_BODY|REQUEST_HEADERS|REQUEST_COOKIES|QUERY_STRING|XML:/* "@rx ." ` +
		`"id:190002,phase:2,pass,log,msg:'saw %{MATCHED_VAR}',logdata:'Matched Data: %{TX.0} found within %{MATCHED_VAR_NAME}: %{MATCHED_VAR}',capture"` + "\n" +
		`SecRule ARGS:password "@rx (.+)" "id:190003,phase:2,pass,log,msg:'chained',capture,chain"` + "\n" + `SecRule TX:1 "@rx ." "t:none,t:lowercase"` + "\n" +
		`SecRule REQUEST_BODY "@rx ." "id:190004,phase:2,pass,log,msg:'changed',logdata:'%{MATCHED_VAR}',t:lowercase,t:urlDecodeUni"` + "\n"
	directives := "SecRuleEngine On\nSecRequestBodyAccess On\nSecRequestBodyLimit 5242880\n" +
		`SecRule REQUEST_HEADERS:Content-Type "json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"` + "\n" +
		`SecRule REQUEST_HEADERS:Content-Type "xml" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"` + "\n" + any
	agent, ended := startWithEvents(t, apps(map[string]string{"all": directives}))
	c := dial(t, agent.socket)
	const secret, card = "hunTer2 & Co", "4111 1111 1111 1111"
	basic := base64.StdEncoding.EncodeToString([]byte("vera:" + secret))
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded": "user=vera&password=hunTer2+%26+Co&user%5Bpasswd%5D=hunTer2%20%26%20Co&card=4111+1111+1111+1111&a=b",
		"application/json":                  `{"user":"vera","login":{"Pass\u0077ord" : "` + secret + `","tokens":["` + secret + `"]},"card":"` + card + `","a":4111111111111111}`,
		"multipart/form-data; boundary=x": "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n" + secret + "\r\n--x\r\n" +
			"Content-Disposition: form-data; name=\"note\"\r\n\r\nvera " + card + "\r\n--x--\r\n",
		"text/xml": "<login><user>vera</user><password type=\"plain\">" + strings.ReplaceAll(secret, "&", "&amp;") + "</password><n>4111-1111-1111-1111</n></login>",
	} {
		headers := fmt.Sprintf("host: a\r\ncontent-type: %s\r\ncontent-length: %d\r\nAuthorization: Basic %s\r\ncookie: theme=dark; sid=hunTer2cookie\r\n"+
			"x-api-key: hunTer2key\r\nreferer: http://a/?token=hunTer2ref\r\n", kind, len(body), basic)
		c.ask(request{app: "all", id: kind, method: "POST", path: "/login/hunTer2cookie", query: "access_token=hunTer2query&vera=1", headers: headers, body: body})
	}

	lines := ended()

	if len(lines) != 4 {
		t.Fatalf("%d events", len(lines))
	}
	for _, text := range rawLines(t, agent.events) {
		for _, secret := range []string{"hunter2", basic, "4111 1111", "4111+1111", "4111-1111", "411111111111"} {
			if at := strings.Index(strings.ToLower(text), strings.ToLower(secret)); at >= 0 {
				t.Errorf("%s is in an event: …%s…", secret, text[max(0, at-120):min(len(text), at+60)])
			}
		}
		if strings.Count(text, masked) < 8 || !strings.Contains(text, "vera") || !strings.Contains(text, `["cookie","`+masked+`"]`) {
			t.Errorf("too much or too little is masked in %s", text)
		}
	}
}

func TestASecretInXMLIsMaskedHoweverItIsWritten(t *testing.T) {
	directives := "SecRuleEngine On\nSecRequestBodyAccess On\nSecRequestBodyJsonDepthLimit 32\n" +
		`SecAction "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"` + "\n" +
		`SecRule XML:/*|XML://@* "@rx ." "id:190002,phase:2,pass,log,msg:'saw',logdata:'%{MATCHED_VAR}'"` + "\n"
	agent, ended := startWithEvents(t, apps(map[string]string{"all": directives}))
	c := dial(t, agent.socket)
	bodies := []string{
		"<a><password>swo<!-- -->rdfish</password></a>", "<a><password>swo<![CDATA[rdfi]]>sh</password></a>",
		"<a><password>&#115;wordfish</password></a>", "<a><b password='swordfish'/></a>", "<a><password>sword<b>fish</b>!</password></a>", `<a password="swo&#x72;dfish"/>`,
		"\xff\xfe" + utf16le("<a><password>swordfish</password></a>"),
	}
	for at, body := range bodies {
		c.ask(request{app: "all", id: fmt.Sprint(at), method: "POST", path: "/", headers: "host: a\r\ncontent-type: text/xml\r\n", body: body})
	}

	if lines := ended(); len(lines) != len(bodies) {
		t.Errorf("%d events", len(lines))
	}
	for _, text := range rawLines(t, agent.events) {
		if strings.Contains(strings.ReplaceAll(text, `\u0000`, ""), "wordfish") || !strings.Contains(text, masked) {
			t.Errorf("the secret is in an event: %s", text)
		}
	}
}

func TestABodyThatNoRuleSawIsMarked(t *testing.T) {
	directives := "SecRuleEngine On\nSecRequestBodyAccess On\n" +
		`SecAction "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=BINARY"` + "\n" +
		`SecAction "id:190002,phase:2,pass,log,msg:'saw'"` + "\n"
	agent, ended := startWithEvents(t, apps(map[string]string{"all": directives}))
	c := dial(t, agent.socket)
	for id, body := range map[string]string{"picture": "\x89PNG\r\n\x1a\n\x00\x00", "text": "a text", "none": ""} {
		c.ask(request{app: "all", id: id, method: "POST", path: "/", headers: "host: a\r\ncontent-type: image/png\r\n", body: body})
	}

	marked := map[string]bool{}
	for _, one := range ended() {
		marked[one.ID] = one.BodyUnread
	}

	if !maps.Equal(marked, map[string]bool{"picture": true, "text": false, "none": false}) {
		t.Errorf("marked are %v", marked)
	}
}

func TestAQuotedAttributeIsMaskedToItsEnd(t *testing.T) {
	m := newMask("")
	for text, expected := range map[string]string{
		`<a password='sword&amp;fish' b='1'/>`:           `<a password=[masked] b='1'/>`,
		`<a password="sword&#x26;fish" b="1"/>`:          `<a password=[masked] b="1"/>`,
		"<a\n\tx:password = 'sword\n&lt;fish'\n b='1'/>": "<a\n\tx:password = [masked]\n b='1'/>",
		`<a b="1" password='sword&amp;fi`:                `<a b="1" password=[masked]`,
		`<a password=''/>`:                               `<a password=[masked]/>`,
		`password='&q=1`:                                 `password=[masked]&q=1`,
	} {
		if seen := m.text(text, nil); seen != expected {
			t.Errorf("%q is %q", text, seen)
		}
	}
}

func TestWhatIsLeftOfAMaskedBodyIsStillReadable(t *testing.T) {
	m := newMask("")
	for text, expected := range map[string]string{
		`{"url":"/x?token=abc","html":"<b>"}`:                                                          `{"url":"/x?token=[masked]","html":"<b>"}`,
		`{"url":"/x?token=a\"b&c=d","html":"<b>"}`:                                                     `{"url":"/x?token=[masked]&c=d","html":"<b>"}`,
		`[{"a":"x,","b":"y?token=c"},{"c":"d?token=e,"},"f"]`:                                          `[{"a":"x,","b":"y?token=[masked]"},{"c":"d?token=[masked]"},"f"]`,
		`{"html":"<a token=\"abc\" b>","k":1}`:                                                         `{"html":"<a token=[masked]","k":1}`,
		`{"html":"<password>abc","k":1}`:                                                               `{"html":"<password>[masked]","k":1}`,
		`{"m":"{\"Token\":\"abc\",\"html\":\"<b>\"}","k":1}`:                                           `{"m":"{\"Token\":[masked],\"html\":\"<b>\"}","k":1}`,
		`{"m":"{\"Token\":\"a\\\"b\",\"k\":2}","k":1}`:                                                 `{"m":"{\"Token\":[masked],\"k\":2}","k":1}`,
		`{"m":"{\"Token\":{\"a\":[\"b\"]},\"k\":2}","k":1}`:                                            `{"m":"{\"Token\":[masked],\"k\":2}","k":1}`,
		`{"m":"{\"n\":\"{\\\"token\\\":\\\"abc\\\"}\"}","k":1}`:                                        `{"m":"{\"n\":\"{\\\"token\\\":[masked]}\"}","k":1}`,
		`{"m":"{\"Token\":\"abc`:                                                                       `{"m":"{\"Token\":[masked]`,
		`{"m":"{\"Token\":\"abc","k":1}`:                                                               `{"m":"{\"Token\":[masked]","k":1}`,
		`{" password=ab"cd&e=f`:                                                                        `{" password=[masked]&e=f`,
		"--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc\r\n--b--\r\n":                "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n[masked]\r\n--b--\r\n",
		"--b\r\ncontent-disposition: form-data;\r\n\tname=\"token\"\r\n\r\nabc\r\n--b--":               "--b\r\ncontent-disposition: form-data;\r\n\tname=\"token\"\r\n\r\n[masked]\r\n--b--",
		"--b\nContent-Disposition: form-data; name=\"token\"\n\nabc\n--b--":                            "--b\nContent-Disposition: form-data; name=\"token\"\n\n[masked]\n--b--",
		"--b\r\nContent-Disposition: form-data;\r\n x=y;\r\n name=\"token\"\r\n\r\nabc\r\n--b--":       "--b\r\nContent-Disposition: form-data;\r\n x=y;\r\n name=\"token\"\r\n\r\n[masked]\r\n--b--",
		"found within X: Content-Disposition: form-data; name=\"token\"\r\n\r\nabc":                    "found within X: Content-Disposition: form-data; name=\"token\"\r\n\r\n[masked]",
		"Content-Disposition: form-data; name=\"a\"\r\n\r\n<input name=\"token\">\r\n\r\n<b>\r\n--b--": "Content-Disposition: form-data; name=\"a\"\r\n\r\n<input name=\"token\">\r\n\r\n<b>\r\n--b--",
		"<input name=\"token\">\r\n\r\n<b>\r\n--b--":                                                   "<input name=\"token\">\r\n\r\n<b>\r\n--b--",
	} {
		if seen := m.text(text, nil); seen != expected {
			t.Errorf("%q is %q", text, seen)
		}
	}
}

func TestANameWithPartsIsMaskedWhereverItsPathEnds(t *testing.T) {
	m := newMask(maskComment + " user.pin card[number] iban*")
	for name, hidden := range map[string]bool{
		"user.pin": true, "json.user.pin": true, "json.list.0.user.pin": true, "x[card[number]": true, "json.iban_2": true,
		"json.user.pins": false, "json.superuser.pin": false, "pin": false, "user": false, "miban": false,
	} {
		if m.hides(name) != hidden {
			t.Errorf("%s: %v", name, !hidden)
		}
	}
}

func TestAPolicyHasItsOwnListOfWhatIsMasked(t *testing.T) {
	agent, ended := startWithEvents(t, apps(map[string]string{
		"own": maskComment + " iban  *pin*\n" + small, "none": maskComment + "\n" + small, "usual": small,
	}))
	c := dial(t, agent.socket)
	for _, app := range []string{"own", "none", "usual"} {
		c.ask(request{app: app, id: app, query: "a=attack&iban=DE02&mypin2=7777&password=secret&card=4111111111111111"})
	}

	found := map[string]string{}
	for _, one := range ended() {
		found[one.ID] = one.URI
	}

	if !maps.Equal(found, map[string]string{
		"own":   "/?a=attack&iban=[masked]&mypin2=[masked]&password=secret&card=4111111111111111",
		"none":  "/?a=attack&iban=DE02&mypin2=7777&password=secret&card=4111111111111111",
		"usual": "/?a=attack&iban=DE02&mypin2=7777&password=[masked]&card=[masked]",
	}) {
		t.Errorf("the addresses are %v", found)
	}
}

func TestAMonstrousRequestMakesASmallEvent(t *testing.T) {
	many := small + `SecRule ARGS "@rx ." "id:190005,phase:2,pass,log,msg:'m',logdata:'%{MATCHED_VAR}'"` + "\n"
	for id := range 600 {
		many += fmt.Sprintf(`SecRule ARGS:a "@contains y" "id:%d,phase:1,pass,log,msg:'%s'"`+"\n", 9_000_000+id, strings.Repeat("long ", 40))
	}
	agent, ended := startWithEvents(t, apps(map[string]string{"many": many}))
	body := "c=attack&password=" + strings.Repeat("s", 5000) + "&b=" + strings.Repeat("\x01", 1<<20)
	dial(t, agent.socket).ask(request{
		app: "many", method: "POST", path: "/" + strings.Repeat("p", 9000), query: "a=" + strings.Repeat("y", 9000), body: body,
		headers: "host: a\r\ncontent-type: application/x-www-form-urlencoded\r\n" + strings.Repeat("x-long: "+strings.Repeat("h", 900)+"\r\n", 60),
	})

	lines := ended()

	if len(lines) != 1 {
		t.Fatalf("%d events", len(lines))
	}
	one, raw := lines[0], rawLines(t, agent.events)[0]
	if !one.BodyCut || one.BodyBytes != len(body) || !one.URICut || len(one.URI) != longestURI || len(one.Rules) != mostRules ||
		!strings.Contains(raw, `"headers_cut":true`) || strings.Contains(raw, "sss") || len(raw) > 512<<10 {
		t.Errorf("%d bytes, %d rules, uri %d, body %d of %d", len(raw), len(one.Rules), len(one.URI), len(one.Body), one.BodyBytes)
	}
}

// count reads a counter.
func count(counter prometheus.Counter) float64 {
	registry := prometheus.NewRegistry()
	registry.MustRegister(counter)
	families, _ := registry.Gather()
	return families[0].Metric[0].Counter.GetValue()
}

// eventMetrics are for events that no agent writes.
func eventMetrics() *EventMetrics { return newEventMetrics(prometheus.NewRegistry()) }

func anEvent(id string) *Event {
	return &Event{mask: newMask(""), time: time.Now(), message: Message{ID: id, Method: "GET", Path: "/"}, size: 1000}
}

func TestEverySegmentIsBoundedAndTheOldestGo(t *testing.T) {
	dir, metrics := t.TempDir(), eventMetrics()
	events := startEvents(dir, limits{segmentBytes: 2000, segmentAge: time.Hour, totalBytes: 9000, totalAge: time.Hour}, metrics)
	for number := range 200 {
		events.put(anEvent(fmt.Sprint(number)))
		for len(events.queue) > 0 { // one write each
			time.Sleep(10 * time.Microsecond)
		}
	}
	events.close()

	paths, _ := filepath.Glob(filepath.Join(dir, "*"))
	total := int64(0)
	for _, path := range paths {
		info, _ := os.Stat(path)
		total += info.Size()
		if info.Size() > 2000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes and mode %v", path, info.Size(), info.Mode())
		}
	}
	lines := readLines(t, dir)
	if total > 9000 || len(paths) < 3 || count(metrics.written) != 200 || count(metrics.removed) == 0 {
		t.Errorf("%d bytes in %d files, %v written, %v removed", total, len(paths), count(metrics.written), count(metrics.removed))
	}
	for at, one := range lines {
		if one.ID != fmt.Sprint(200-len(lines)+at) {
			t.Fatalf("%s is out of order", one.ID)
		}
	}
}

func TestASegmentThatIsTooOldGoes(t *testing.T) {
	dir, metrics := t.TempDir(), eventMetrics()
	old, kept := filepath.Join(dir, fmt.Sprintf("%020d.jsonl", 5)), filepath.Join(dir, "somebody-elses.jsonl")
	for _, path := range []string{old, kept} {
		if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now(), time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}

	events := startEvents(dir, limits{segmentBytes: 2000, segmentAge: time.Hour, totalBytes: 9000, totalAge: time.Hour}, metrics)
	events.put(anEvent("new"))
	events.close()

	if _, err := os.Stat(old); err == nil || count(metrics.removed) != 1 {
		t.Errorf("the old segment is there, %v removed", count(metrics.removed))
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error("a file that is no segment was removed")
	}
}

func TestANewProcessBeginsANewSegmentAfterAllOthers(t *testing.T) {
	dir := t.TempDir()
	future := filepath.Join(dir, fmt.Sprintf("%020d.jsonl", time.Now().Add(time.Hour).UnixMicro()))
	torn := `{"v":1,"id":"torn`
	if err := os.WriteFile(future, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		events := startEvents(dir, defaultLimits, eventMetrics())
		events.put(anEvent("x"))
		events.close()
	}

	paths, _ := filepath.Glob(filepath.Join(dir, "*"))
	content, _ := os.ReadFile(future)
	if len(paths) != 3 || paths[0] != future || string(content) != torn {
		t.Errorf("the segments are %v", paths)
	}
}

func TestADiskThatRefusesDropsAndCounts(t *testing.T) {
	file, metrics := filepath.Join(t.TempDir(), "file"), eventMetrics()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	events := startEvents(filepath.Join(file, "events"), defaultLimits, metrics) // which cannot be made
	for range 50 {
		events.put(anEvent("lost"))
	}
	events.close()

	if dropped := count(metrics.dropped.WithLabelValues("disk")); dropped != 50 || count(metrics.written) != 0 {
		t.Errorf("%v dropped, %v written", dropped, count(metrics.written))
	}
}

func TestALineThatADiskTookInPartIsTakenBack(t *testing.T) {
	segments := &segments{dir: t.TempDir(), limits: defaultLimits, removed: func() {}}
	if err := segments.append([]byte("{\"whole\":1}\n")); err != nil {
		t.Fatal(err)
	}
	whole := segments.file
	readOnly, err := os.Open(whole.Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.WriteString("{\"half"); err != nil { // what a full disk lets through
		t.Fatal(err)
	}

	segments.file = readOnly // neither writes nor truncates
	if segments.append([]byte("{\"lost\":1}\n")) == nil {
		t.Fatal("a file that cannot be written took a line")
	}
	if err := segments.append([]byte("{\"next\":1}\n")); err != nil {
		t.Fatal(err)
	}

	lines := rawLines(t, segments.dir)
	if !slices.Equal(lines, []string{"{\"whole\":1}", "{\"half", "{\"next\":1}"}) {
		t.Errorf("the lines are %q", lines)
	}
}

func TestAFullQueueDropsAndNeverWaits(t *testing.T) {
	metrics := eventMetrics()
	// Nobody takes from this queue: a disk that hangs.
	events := &Events{metrics: metrics, queue: make(chan entry, 10)}
	for range 15 {
		events.put(anEvent("x"))
	}
	events.bytes.Store(queuedBytes + 1)
	<-events.queue
	events.put(anEvent("too large"))

	if dropped := count(metrics.dropped.WithLabelValues("queue")); dropped != 6 || len(events.queue) != 9 {
		t.Errorf("%v dropped, %d wait", dropped, len(events.queue))
	}
}

func TestAFaultInAnEventCostsThatEventAlone(t *testing.T) {
	dir, metrics := t.TempDir(), eventMetrics()
	events := startEvents(dir, defaultLimits, metrics)
	broken := anEvent("broken")
	broken.mask = nil
	for _, one := range []*Event{anEvent("before"), broken, anEvent("after")} {
		events.put(one)
	}
	events.close()

	if lines := readLines(t, dir); len(lines) != 2 || count(metrics.dropped.WithLabelValues("fault")) != 1 {
		t.Errorf("%d lines, %v dropped", len(lines), count(metrics.dropped.WithLabelValues("fault")))
	}
}

func TestAKilledAgentLeavesWholeLines(t *testing.T) {
	s := written(t, apps(map[string]string{"small": small}))
	s.level, s.events = "info", t.TempDir()
	s.write(t, apps(map[string]string{"small": small}))
	for round := range 4 {
		agent, log := process(t, "-config", s.file, "-events", s.events)
		log.until("serving")
		c := dial(t, s.socket)
		answered := 0
		for ; answered < 50*(round+1); answered++ {
			c.ask(request{app: "small", id: fmt.Sprint(round, "-", answered), query: "a=attack"})
		}
		_ = agent.Process.Kill()
		_ = agent.Wait()
	}

	paths, _ := filepath.Glob(filepath.Join(s.events, "*"))
	if len(paths) != 4 {
		t.Errorf("segments are %v", paths)
	}
	for _, path := range paths {
		content, _ := os.ReadFile(path)
		lines := strings.SplitAfter(string(content), "\n")
		for _, text := range lines[:len(lines)-1] { // what is after the last line feed is torn, or nothing
			if !json.Valid([]byte(text)) {
				t.Errorf("%s holds %q", path, text)
			}
		}
		if len(lines) < 30 {
			t.Errorf("%s has %d lines", path, len(lines))
		}
	}
}

func TestAnEventOfOptionsForTheServerHasItsTarget(t *testing.T) {
	for method, expected := range map[string]string{"OPTIONS": `"uri":"*"`, "GET": `"uri":""`} {
		o := object{b: []byte{'{'}}
		(&Event{mask: newMask(""), message: Message{Method: method}}).appendRequest(&o)
		if !strings.Contains(string(o.b), expected) {
			t.Errorf("%s: %s", method, o.b)
		}
	}
}
