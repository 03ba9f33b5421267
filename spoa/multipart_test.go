package main

import (
	"strconv"
	"strings"
	"testing"
)

// multipartRules block what they find in a field, in block mode and not, with what Coraza recommends.
const multipartRules = "Include @coraza.conf-recommended\nSecRuleEngine On\nSecRequestBodyLimit 8388608\nSecRequestBodyInMemoryLimit 8388608\n" +
	"SecRule ARGS \"@contains attack\" \"id:9000001,phase:2,deny,status:403,log,msg:'an attack'\"\n" +
	"SecRule MULTIPART_PART_HEADERS \"@contains wicked\" \"id:9000002,phase:2,deny,status:403,log,msg:'a header'\"\n" +
	"SecRule FILES \"@contains evil\" \"id:9000003,phase:2,deny,status:403,log,msg:'a file name'\"\n"

const asForm = "multipart/form-data; boundary=b"

// crlf writes a body with a line to each word of a list: nothing but "|" is a line end.
func crlf(text string) string { return strings.ReplaceAll(text, "|", "\r\n") }

func multipartAgent(t *testing.T) *client {
	t.Helper()
	detecting := strings.Replace(multipartRules, "SecRuleEngine On", "SecRuleEngine DetectionOnly", 1)
	agent := start(t, apps(map[string]string{"block": multipartRules, "detect": detecting}))
	return dial(t, agent.socket)
}

func (c *client) upload(app, contentType, body string) map[string]any {
	c.t.Helper()
	return c.ask(request{app: app, method: "POST", headers: "host: a\r\ncontent-type: " + contentType + "\r\n", body: body})
}

// refused are bodies about which parsers disagree where a part begins and ends, or what it is.
var refused = map[string][2]string{
	"the closing boundary before the first part": {asForm, `--b--|--b|Content-Disposition: form-data; name="q"||attack|--b--|`},
	"a part after the closing boundary":          {asForm, `--b|Content-Disposition: form-data; name="a"||1|--b--|--b|Content-Disposition: form-data; name="q"||1|--b--|`},
	"text before the first boundary":             {asForm, `x|--b|Content-Disposition: form-data; name="a"||1|--b--|`},
	"text after the closing boundary":            {asForm, `--b|Content-Disposition: form-data; name="a"||1|--b--|x`},
	"text on the closing boundary's line":        {asForm, `--b|Content-Disposition: form-data; name="a"||1|--b--x`},
	"a boundary directly after headers":          {asForm, `--b|Content-Disposition: form-data; name="q"||--b|Content-Disposition: form-data; name="a"; filename="a"||1|--b--|`},
	"a boundary directly after a boundary":       {asForm, `--b|--b|Content-Disposition: form-data; name="a"||1|--b--|`},
	"a boundary after a line feed":               {asForm, "--b|Content-Disposition: form-data; name=\"a\"; filename=\"a\"||1\n--b|Content-Disposition: form-data; name=\"q\"||1|--b--|"},
	"a boundary after a carriage return":         {asForm, "--b|Content-Disposition: form-data; name=\"a\"; filename=\"a\"||1\r--b|Content-Disposition: form-data; name=\"q\"||1|--b--|"},
	"line feeds, then a whole line end":          {asForm, "--b\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\n\n1|--b\nContent-Disposition: form-data; name=\"q\"\n\n1\n--b--\n"},
	"line feeds, then headers with whole ones":   {asForm, "--b\nContent-Disposition: form-data; name=\"q\"||1\n--b--\n"},
	"line feeds, then an empty line with more":   {asForm, "--b\nContent-Disposition: form-data; name=\"a\"\n\n1||1\n--b--\n"},
	"a part without headers":                     {asForm, `--b||Content-Disposition: form-data; name="q"|--b|Content-Disposition: form-data; name="a"||1|--b--|`},
	"whole line ends, then line feeds":           {asForm, "--b|Content-Disposition: form-data; name=\"a\"\n\n1|--b--|"},
	"a boundary within a line":                   {asForm, `--b|Content-Disposition: form-data; name="a"||1--b--|--b--|`},
	"a space after a boundary":                   {asForm, `--b |Content-Disposition: form-data; name="a"||1|--b--|`},
	"a NUL after a boundary":                     {asForm, "--b\x00|Content-Disposition: form-data; name=\"a\"||1|--b--|"},
	"text after a boundary":                      {asForm, `--b|Content-Disposition: form-data; name="a"||1|--bx|Content-Disposition: form-data; name="q"||1|--b--|`},
	"no closing boundary":                        {asForm, `--b|Content-Disposition: form-data; name="a"||1`},
	"no boundary at all":                         {asForm, `a=1`},
	"a folded header":                            {asForm, `--b|Content-Disposition: form-data;| name="q"; filename="a"||1|--b--|`},
	"a header without a colon":                   {asForm, `--b|Content-Disposition: form-data; name="q"|; filename="a"||1|--b--|`},
	"a space before a colon":                     {asForm, `--b|Content-Disposition : form-data; name="q"||1|--b--|`},
	"a line feed in a header":                    {asForm, "--b|X: 1\nContent-Disposition: form-data; name=\"q\"||1|--b--|"},
	"a NUL in a header":                          {asForm, "--b|Content-Disposition: form-data; name=\"q\x00\"||1|--b--|"},
	"a header that PHP divides":                  {asForm, `--b|X: ` + strings.Repeat("x", 5120) + `Content-Disposition: form-data; name="q"||1|--b--|`},
	"a header twice":                             {asForm, `--b|Content-Disposition: form-data; name="a"; filename="a"|Content-Disposition: form-data; name="q"||1|--b--|`},
	"a name twice":                               {asForm, `--b|Content-Disposition: form-data; name="a"; name="q"||1|--b--|`},
	"a file name twice":                          {asForm, `--b|Content-Disposition: form-data; name="a"; filename="a"; filename=""||1|--b--|`},
	"quotes that do not end":                     {asForm, `--b|Content-Disposition: form-data; name="q; filename=a||1|--b--|`},
	"text after quotes":                          {asForm, `--b|Content-Disposition: form-data; name="q"x; filename="a"||1|--b--|`},
	"a value that needs quotes":                  {asForm, `--b|Content-Disposition: form-data; name=q; filename=a b||1|--b--|`},
	"an encoded name":                            {asForm, `--b|Content-Disposition: form-data; name*=utf-8''q||1|--b--|`},
	"a continued file name":                      {asForm, `--b|Content-Disposition: form-data; name="q"; filename*0="a"||1|--b--|`},
	"a quoted filename*":                         {asForm, `--b|Content-Disposition: form-data; name="q"; filename*="UTF-8''a"||1|--b--|`},
	"a third apostrophe in filename*":            {asForm, `--b|Content-Disposition: form-data; name="q"; filename*=UTF-8''it's; filename="a"; x='||1|--b--|`},
	"UTF-16 in a part":                           {asForm, `--b|Content-Disposition: form-data; name="q"|Content-Type: text/plain; charset=utf-16le||1|--b--|`},
	"UTF-7 in the request":                       {asForm + "; charset=utf-7", `--b|Content-Disposition: form-data; name="q"||1|--b--|`},
	"an unknown transfer encoding":               {asForm, `--b|Content-Disposition: form-data; name="q"|Content-Transfer-Encoding: x-uuencode||1|--b--|`},
	"no boundary parameter":                      {"multipart/form-data", `--b|Content-Disposition: form-data; name="q"||1|--b--|`},
	"two boundary parameters":                    {asForm + "; boundary=c", `--b|Content-Disposition: form-data; name="q"||1|--b--|`},
	"a parameter that ends in boundary":          {"multipart/form-data; xboundary=c; boundary=b", `--b|Content-Disposition: form-data; name="q"||1|--b--|`},
	"a comma in the boundary":                    {"multipart/form-data; boundary=b,c", `--b,c|Content-Disposition: form-data; name="q"||1|--b,c--|`},
	"a space after the boundary's value":         {"multipart/form-data; boundary=b c", `--b|Content-Disposition: form-data; name="q"||1|--b--|`},
	"a boundary whose quotes do not end":         {`multipart/form-data; boundary="b`, `--b|Content-Disposition: form-data; name="q"||1|--b--|`},
	"an encoded boundary":                        {`multipart/form-data; boundary*=utf-8''b`, `--b|Content-Disposition: form-data; name="q"||1|--b--|`},
}

func TestABodyThatParsersDivideDifferentlyIsRefused(t *testing.T) {
	c := multipartAgent(t)
	for name, one := range refused {
		contentType, body := one[0], crlf(one[1])
		if answer := c.upload("block", contentType, body); answer["action"] != "deny" || answer["status"] != 400 && answer["status"] != 403 {
			t.Errorf("%s passes: %v", name, answer)
		}
		answer := c.upload("detect", contentType, body)
		if rules, _ := answer["rule_ids"].(string); answer["action"] != nil || !strings.Contains(rules, "200003") || !strings.Contains(rules, "200002") {
			t.Errorf("%s, detecting: %v", name, answer)
		}
	}
}

// fields are parts in which some parser sees a field of the name q.
var fields = map[string]string{
	"a field":                           `form-data; name="q"`,
	"filename* alone":                   `form-data; name="q"; filename*=UTF-8''a.txt`,
	"a space before =":                  `form-data; name="q"; filename ="a"`,
	"a tab before =":                    "form-data; name=\"q\"; filename\t=\"a\"",
	"a space after =":                   `form-data; name="q"; filename= "a"`,
	"a file name in single quotes":      `form-data; name="q"; filename='a.txt'`,
	"single quotes around the rest":     `form-data; name="q"; x='; filename="a"; y='`,
	"an empty file name":                `form-data; name="q"; filename=""`,
	"an empty one beside filename*":     `form-data; name="q"; filename=""; filename*=UTF-8''a.txt`,
	"another disposition":               `attachment; name="q"; filename="a"`,
	"no disposition's type":             `name="q"`,
	"a backslash before a quote":        `form-data; x="\"; name="q"; filename="a"; y="\"`,
	"an escaped backslash and a quote":  `form-data; name="q\\"; filename="a"`,
	"without quotes":                    `form-data; name=q`,
	"capitals":                          `FORM-DATA; NAME="q"`,
	"a semicolon at the end":            `form-data; name="q";`,
	"other parameters":                  `form-data; size=4; name="q"; creation-date="x"`,
	"a name that PHP writes otherwise":  `form-data; name=" q.["`,
	"a file that has parts of its own|": "form-data; name=\"q\"; filename=\"a\"\r\nContent-Type: multipart/mixed; boundary=c",
}

func TestWhatAParserMightTakeForAFieldIsJudgedAsOne(t *testing.T) {
	c := multipartAgent(t)
	for name, disposition := range fields {
		body := func(value string) string {
			return crlf("--b|Content-Disposition: ") + disposition + crlf("||") + value + crlf("|--b--|")
		}
		if answer := c.upload("block", asForm, strings.ReplaceAll(body("attack"), "\r\n", "\n")); answer["action"] != "deny" {
			t.Errorf("%s, with line feeds: %v", name, answer)
		}
		if answer := c.upload("block", asForm, body("attack")); answer["action"] != "deny" {
			t.Errorf("%s: %v", name, answer)
		}
		if rules, _ := c.upload("detect", asForm, body("attack"))["rule_ids"].(string); !strings.Contains(rules, "9000001") {
			t.Errorf("%s, detecting: %v", name, rules)
		}
	}
}

func TestFilesAreNotJudgedAsFields(t *testing.T) {
	c := multipartAgent(t)
	for name, head := range map[string]string{
		"of a browser":        `Content-Disposition: form-data; name="f"; filename="a.txt"|Content-Type: text/plain`,
		"with both names":     `Content-Disposition: form-data; name="f"; filename="a.txt"; filename*=UTF-8''%C3%A4.txt|Content-Type: text/plain`,
		"with an apostrophe":  `Content-Disposition: form-data; name="f"; filename="Anna's garden; June.jpg"|Content-Type: image/jpeg`,
		"of Windows":          `Content-Disposition: form-data; name="f"; filename="C:\Scans\page 1.pdf"|Content-Type: application/pdf`,
		"of a Java client":    `content-disposition: form-data; name="f"; filename="a.pdf"|content-type: application/pdf|Content-Transfer-Encoding: binary|Content-Length: 6`,
		"without quotes":      `Content-Disposition: form-data; name=f; filename=a.pdf|Content-Type: application/pdf`,
		"in another alphabet": `Content-Disposition: form-data; name="f"; filename="файл.txt"|Content-Type: text/plain; charset=windows-1251`,
	} {
		answer := c.upload("block", asForm, crlf("|--b|"+head+"||attack|--b--|"))
		if answer["action"] != nil || answer["rules_hit"] != 0 || answer["error"] != nil {
			t.Errorf("%s: %v", name, answer)
		}
	}
}

func TestOrdinaryFormsPass(t *testing.T) {
	c := multipartAgent(t)
	for contentType, body := range map[string]string{
		asForm: `--b|Content-Disposition: form-data; name="a"||1|--b|Content-Disposition: form-data; name="empty"|||--b--|`,
		"multipart/form-data; boundary=\"b:c\"; charset=UTF-8":          `--b:c|Content-Disposition: form-data; name="a"||1|--b:c--`,
		"Multipart/Form-Data; charset=utf-8; Boundary=----=_Part_7_1.2": `------=_Part_7_1.2|Content-Disposition: form-data; name="a"||1|------=_Part_7_1.2--|`,
		"multipart/form-data; boundary=----WebKitFormBoundaryX":         `------WebKitFormBoundaryX--|`, // no fields
		"multipart/form-data; boundary=lf":                              "--lf\nContent-Disposition: form-data; name=\"a\"\n\n1\n--lf--\n",
		"multipart/form-data;boundary=x":                                `--x|Content-Disposition: form-data; name="a"||--y -- --|--x--|||`,
	} {
		if answer := c.upload("block", contentType, crlf(body)); answer["action"] != nil || answer["rules_hit"] != 0 {
			t.Errorf("%s: %v", contentType, answer)
		}
	}
}

func TestAFieldIsReadAsWrittenAndAsDecoded(t *testing.T) {
	c := multipartAgent(t)
	for encoding, value := range map[string]string{
		"base64": "YXR0\r\nYWNr", "BASE64": "attack", "quoted-printable": "att=61ck", "Quoted-Printable": "attack=ZZ", "8bit": "attack",
	} {
		body := crlf("--b|Content-Disposition: form-data; name=\"q\"|Content-Transfer-Encoding: " + encoding + "||" + value + "|--b--|")
		if answer := c.upload("block", asForm, body); answer["action"] != "deny" {
			t.Errorf("%s %q: %v", encoding, value, answer)
		}
	}
}

func TestAFieldInAWideCharsetIsReadInIt(t *testing.T) {
	c := multipartAgent(t)
	wide := strings.Join(strings.Split("an attack", ""), "\x00") + "\x00"
	body := crlf("--b|Content-Disposition: form-data; name=\"q\"|Content-Type: text/plain; charset=utf-16le||" + wide + "|--b--|")

	expect(t, c.upload("block", asForm, body), map[string]any{"action": "deny", "status": 403})
	expect(t, c.upload("block", asForm+"; charset=UTF-16", strings.Replace(body, "charset", "any", 1)), map[string]any{"action": "deny", "status": 403})
}

func TestPartsThatSayTheyAreJSONOrXMLAreReadAsSuch(t *testing.T) {
	reads := strings.Replace(multipartRules, "Include", "SecAction \"id:100009,phase:1,pass,nolog,setvar:tx.guardpanel_read_files=1\"\nInclude", 1) +
		"SecRule XML:/* \"@contains attack\" \"id:9000004,phase:2,deny,status:403,log,msg:'an attack in XML'\"\n"
	agent := start(t, apps(map[string]string{"fields": multipartRules, "files": reads}))
	c := dial(t, agent.socket)
	part := func(disposition, kind, value string) string {
		return crlf("--b|Content-Disposition: form-data; name=\"q\"" + disposition + "|Content-Type: " + kind + "||" + value + "|")
	}
	json, xml := `{"a":["\u0061ttack"]}`, `<a>at<!-- -->tack</a>`
	const file = `; filename="a"`

	for _, one := range []struct {
		app, body string
		rule      any
	}{
		{"fields", part("", "application/json", json), 9000001},
		{"fields", part("", "application/json; charset=utf-8", `{"a":1}`), nil},
		{"fields", part("", "application/json", "{"), 200002},
		{"fields", part(file, "application/json", json), nil},
		{"fields", part(file, "application/json", "{"), nil},
		{"files", part(file, "application/json", json), 9000001},
		{"files", part(file, "application/vnd.api+json", json), 9000001},
		{"files", part(file, "application/json", "{"), 200002},
		{"files", part(file, "application/json", "["+strings.Repeat("1,", 999)+"1]") + part("", "application/json", `["attack"]`), 200005},
		{"files", part(file, "image/svg+xml", xml), 9000004},
		{"files", part(file, "text/xml", xml) + part(file, "text/xml", "<a>1</a>"), 9000004},
		{"files", part(file, "text/xml", "<a>1</a>") + part(file, "text/plain", "attack"), nil},
	} {
		if answer := c.upload(one.app, asForm, one.body+"--b--"); answer["ruleid"] != one.rule {
			t.Errorf("%s, %s: %v", one.app, one.body[:min(150, len(one.body))], answer)
		}
	}
}

func TestHeadersAndBothFileNamesOfPartsAreJudged(t *testing.T) {
	c := multipartAgent(t)
	for head, rule := range map[string]int{
		`Content-Disposition: form-data; name="q"|X-Any: wicked`:                          9000002,
		`Content-Disposition: form-data; name="q"; filename="a"; filename*=UTF-8''%65vil`: 9000003,
		`Content-Disposition: form-data; name="q"; filename*=evil''`:                      9000003,
	} {
		answer := c.upload("block", asForm, crlf("--b|"+head+"||1|--b--|"))
		if found, _ := answer["ruleid"].(int); found != rule {
			t.Errorf("%s: %v", head, answer)
		}
	}
}

func TestMorePartsThanArgumentsAreAVerdict(t *testing.T) {
	c := multipartAgent(t)
	field := crlf("--b|Content-Disposition: form-data; name=\"a\"||1|")
	file := crlf("--b|Content-Disposition: form-data; name=\"a\"; filename=\"a\"||1|")
	for _, part := range []string{field, file} {
		within, over := strings.Repeat(part, 1000)+"--b--", strings.Repeat(part, 1001)+"--b--"
		expect(t, c.upload("block", asForm, within), map[string]any{"action": nil, "rules_hit": 0})
		expect(t, c.upload("block", asForm, over), map[string]any{"action": "deny", "status": 400, "ruleid": 200005})
	}
}

func TestABodyThatTheLimitCutIsReadAsFarAsItGoes(t *testing.T) {
	partial := strings.Replace(multipartRules, "8388608", "64", 1) + "SecRequestBodyLimitAction ProcessPartial\n"
	partial = strings.Replace(partial, "SecRequestBodyInMemoryLimit 8388608", "SecRequestBodyInMemoryLimit 64", 1)
	agent := start(t, apps(map[string]string{"partial": partial}))
	c := dial(t, agent.socket)
	head := crlf("--b|Content-Disposition: form-data; name=\"q\"||")

	expect(t, c.upload("partial", asForm, head+strings.Repeat("x", 5000)), map[string]any{"action": nil, "rules_hit": 0})
	expect(t, c.upload("partial", asForm, head+"attack"+strings.Repeat("x", 5000)), map[string]any{"action": "deny", "status": 403})
}

// BenchmarkMultipart is what reading costs: a file of 4 MiB, and as many small fields as a policy may take.
func BenchmarkMultipart(b *testing.B) {
	var fields strings.Builder
	for at := range 10_000 {
		fields.WriteString(crlf("--b|Content-Disposition: form-data; name=\"field" + strconv.Itoa(at) + "\"||value|"))
	}
	file := crlf("--b|Content-Disposition: form-data; name=\"f\"; filename=\"a\"|Content-Type: image/png||") + strings.Repeat("\x89-\r\n", 1<<20)
	application, err := compile(ApplicationConfig{Directives: "Include @coraza.conf-recommended\nSecArgumentsLimit 20000\n" +
		"SecRequestBodyLimit 8388608\nSecRequestBodyInMemoryLimit 8388608\n"})
	if err != nil {
		b.Fatal(err)
	}
	for name, body := range map[string]string{"file of 4 MiB": file, "10,000 fields": fields.String()} {
		question := QuestionRequest{Method: "POST", URI: "/", Headers: [][2]string{{"content-type", asForm}}, Body: []byte(body + "\r\n--b--\r\n")}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				transaction := application.waf.NewTransaction()
				if verdict, err := judgeRequest(transaction, question.message()); err != nil || verdict.Interruption != nil {
					b.Fatal(verdict, err)
				}
				_ = transaction.Close()
			}
		})
	}
}
