package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
)

// seenIn is what rules see of a body that is read in that way: `name=value` of arguments, texts and attributes of XML as
// `/*=…` and `//@*=…`, and the words of a refusal.
func seenIn(t *testing.T, how, kind, body string) (values []string, refused string) {
	t.Helper()
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives("SecRuleEngine On\nSecRequestBodyAccess On\nSecRequestBodyJsonDepthLimit 32\n" +
		"SecRequestBodyLimit 5242880\nSecRequestBodyInMemoryLimit 5242880\n" +
		fmt.Sprintf("SecAction \"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=%s\"\n", how)))
	if err != nil {
		t.Fatal(err)
	}
	transaction := waf.NewTransaction()
	defer func() { _ = transaction.Close() }()
	transaction.AddRequestHeader("content-type", kind)
	transaction.ProcessRequestHeaders()
	if _, _, err := transaction.WriteRequestBody([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if _, err := transaction.ProcessRequestBody(); err != nil {
		t.Fatal(err)
	}
	return seen(transaction)
}

func seen(transaction types.Transaction) (values []string, refused string) {
	variables := transaction.(plugintypes.TransactionState).Variables()
	for _, found := range append(variables.ArgsPost().FindAll(), variables.RequestXML().FindAll()...) {
		values = append(values, found.Key()+"="+found.Value())
	}
	slices.Sort(values)
	return values, variables.RequestBodyErrorMsg().Get()
}

func utf16le(text string) string {
	var bytes []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		bytes = binary.LittleEndian.AppendUint16(bytes, unit)
	}
	return string(bytes)
}

func utf32be(text string) string {
	var bytes []byte
	for _, letter := range text {
		bytes = binary.BigEndian.AppendUint32(bytes, uint32(letter))
	}
	return string(bytes)
}

func TestABodyIsReadAsServersReadIt(t *testing.T) {
	for name, one := range map[string]struct {
		how, kind, body string
		want            []string
	}{
		"JSON after a byte order mark": {"JSON", "application/json", "\ufeff{\"q\":\"x\"}", []string{"json.q=x"}},
		"JSON in UTF-16":               {"JSON", "application/json", utf16le(`{"q":"x"}`), []string{"json.q=x"}},
		"JSON in UTF-16 with a mark":   {"JSON", "application/json; charset=utf-16", "\xff\xfe" + utf16le(`{"q":"ö"}`), []string{"json.q=ö"}},
		"JSON in UTF-32":               {"JSON", "application/json;charset=UTF-8", utf32be(`{"q":"x"}`), []string{"json.q=x"}},
		"a key that stands twice":      {"JSON", "application/json", `{"q":"a","q":"b"}`, []string{"json.q=a", "json.q=b"}},
		"an escaped key":               {"JSON", "application/json", `{"\u0071":"\u0027"}`, []string{"json.q='"}},
		"half a letter of UTF-16":      {"JSON", "application/json", `{"\ud800\u0071":"\udc00\u0027 or 1"}`, []string{"json.\ufffdq=\ufffd' or 1"}},
		"a letter in two halves":       {"JSON", "application/json", `{"q":"\ud83d\ude00\u0027"}`, []string{"json.q=\U0001F600'"}},
		"a zero byte":                  {"JSON", "application/json", `{"q":"a\u0000b"}`, []string{"json.q=a\x00b"}},
		"the name of an empty object":  {"JSON", "application/json", `{"q":{"name":{}},"r":[]}`, []string{"json.q.name=", "json.r="}},
		"a number as it was written":   {"JSON", "application/json", `[1e999,123456789012345678901234567890]`, []string{"json.0=1e999", "json.1=123456789012345678901234567890", "json=2"}},
		"a value alone":                {"JSON", "application/json", `"x"`, []string{"json.0=x"}},
		"__proto__":                    {"JSON", "application/json", `{"__proto__":{"a":true}}`, []string{"json.__proto__.a=true"}},
		"lines of JSON":                {"NDJSON", "application/x-ndjson", "{\"a\":1}\r\n\n[2]\n\"three\"\nfour", []string{"json.0.a=1", "json.1.0=2", "json.1=1", "json.2=three", "json.3=four"}},
		"white space alone":            {"JSON", "application/json", " \r\n", nil},
		"a file among lines of JSON":   {"NDJSON", "application/x-sentry-envelope", "{\"a\":1}\n\x1f\x8b\x08\x00\n2", []string{"json.0.a=1", "json.2=2"}},
		"text that is lines of JSON":   {"TEXT", "text/plain", "{\"a\":1}\n{\"b\":\"\\u0027\"}\n", []string{"json.0.a=1", "json.1.b='"}},
		"text as one value":            {"TEXT", "text/plain", "one=1&two\r\nlines", []string{"text.body=one=1&two\r\nlines"}},
		"text in UTF-16":               {"TEXT", "text/plain; charset=utf-16le", utf16le("some text"), []string{"text.body=some text"}},
		"text that is JSON":            {"TEXT", "text/plain;charset=UTF-8", ` {"q":"\u0027"}`, []string{"json.q='"}},
		"text that is XML":             {"TEXT", "text/plain", "<q>&#39;</q>", []string{"/*='", "text.body=<q>&#39;</q>"}},
		"text that is no XML":          {"TEXT", "text/plain", "<3 you", []string{"text.body=<3 you"}},
		"a form":                       {"URLENCODED", "application/x-www-form-urlencoded", "a=1&b=%27+%zz&&c&a=2", []string{"a=1", "a=2", "b=' %zz", "c="}},
		"a form in one-byte letters":   {"URLENCODED", "application/x-www-form-urlencoded; charset=windows-1252", "a=\xe4", []string{"a=\xe4"}},
		"text that says it is binary":  {"BINARY", "image/png", "q=1' or 1=1", []string{"text.body=q=1' or 1=1"}},
		"JSON that says it is binary":  {"BINARY", "application/octet-stream", `{"q":"x"}`, []string{"json.q=x"}},
		"XML that says it is binary":   {"BINARY", "image/png", "<q>x</q>", []string{"/*=x", "text.body=<q>x</q>"}},
		"a picture":                    {"BINARY", "image/png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR&q=1", nil},
		"whatever is not looked into":  {"NONE", "image/png", "q=1", nil},
		"XML":                          {"XML", "text/xml", `<a b="1"> <c>x</c><c>y</c> </a>`, []string{"/*=1", "/*=x", "/*=y", "//@*=1"}},
		"XML after a byte order mark":  {"XML", "text/xml", "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><a>x</a>", []string{"/*=x"}},
		"XML 1.1":                      {"XML", "text/xml", "<?xml version='1.1'?><a>x</a>", []string{"/*=x"}},
		"XML in Latin-1":               {"XML", "text/xml", "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>", []string{"/*=ä"}},
		"XML in Latin-1 by its type":   {"XML", "text/xml; charset=iso-8859-1", "<a>\xe4</a>", []string{"/*=ä"}},
		"XML in Shift JIS":             {"XML", "text/xml", "<?xml version='1.0' encoding='Shift_JIS'?><a>\x83\x65</a>", []string{"/*=テ"}},
		"XML in UTF-16":                {"XML", "text/xml", "\xff\xfe" + utf16le("<?xml version='1.0' encoding='utf-16'?><a>x</a>"), []string{"/*=x"}},
		"elements of HTML":             {"XML", "text/xml", "<methodCall><params><param><value>x</value></param></params><link>y</link><base>z</base></methodCall>", []string{"/*=x", "/*=y", "/*=z"}},
		"text divided by a comment":    {"XML", "text/xml", "<a>un<!-- -->ion</a>", []string{"/*=ion", "/*=un", "/*=union"}},
		"text divided by CDATA":        {"XML", "text/xml", "<a>un<![CDATA[ion]]> select</a>", []string{"/*=ion", "/*=select", "/*=un", "/*=union select"}},
		"text divided by instructions": {"XML", "text/xml", "<a>un<?x y?>ion</a>", []string{"/*=ion", "/*=un", "/*=union"}},
		"text divided by elements":     {"XML", "text/xml", "<a>un<b>i</b>on<c/></a>", []string{"/*=i", "/*=on", "/*=un", "/*=union", "/*=unon"}},
		"text of entities":             {"XML", "text/xml", "<a b=\"&quot;\">&#x27;&lt;&eacute;</a>", []string{"/*=\"", "/*='<é", "//@*=\""}},
		"a plain document type":        {"XML", "text/xml", `<!DOCTYPE a><a>x</a>`, []string{"/*=x"}},
		"a standard's document type":   {"XML", "text/xml", `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist>x</plist>`, []string{"/*=x"}},
		"a file's document type":       {"XML", "text/xml", `<!DOCTYPE tv SYSTEM "xmltv.dtd" [<!ELEMENT tv (#PCDATA)>]><tv>x</tv>`, []string{"/*=x"}},
		"namespaces":                   {"XML", "text/xml", `<s:a xmlns:s="urn:s" s:b="1">x</s:a>`, []string{"/*=1", "/*=x", "//@*=1", "//@*=urn:s"}},
		"an attribute twice":           {"XML", "text/xml", `<a b="1" b="2">x</a>`, []string{"/*=1", "/*=2", "/*=x", "//@*=1", "//@*=2"}},
	} {
		t.Run(name, func(t *testing.T) {
			values, refused := seenIn(t, one.how, one.kind, one.body)

			if refused != "" || !slices.Equal(values, one.want) {
				t.Errorf("seen are %q, not %q; refused: %q", values, one.want, refused)
			}
		})
	}
}

func TestABodyThatServersReadDifferentlyIsRefused(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33)
	for name, one := range map[string][3]string{
		"JSON in UTF-7":                        {"JSON", "application/json;charset=utf-7", `{"q":"+ACc-"}`},
		"JSON that says it is UTF-16":          {"JSON", "application/json;charset=utf-16", `{"q":"x"}`},
		"two charsets":                         {"JSON", "application/json;charset=utf-8;charset=utf-16", `{"q":"x"}`},
		"comments in JSON":                     {"JSON", "application/json", `{"q":1/* */}`},
		"NaN":                                  {"JSON", "application/json", `{"q":NaN}`},
		"more after JSON":                      {"JSON", "application/json", `{"q":1}{"q":"x"}`},
		"JSON that ends early":                 {"JSON", "application/json", `{"q":"x"`},
		"deep JSON":                            {"JSON", "application/json", deep},
		"deep JSON in a line":                  {"NDJSON", "application/x-ndjson", "1\n" + deep},
		"names far longer than the body":       {"JSON", "application/json", strings.Repeat(`{"`+strings.Repeat("n", 200)+`":`, 30) + "[" + strings.Repeat("1,", 400) + "1]" + strings.Repeat("}", 30)},
		"text in UTF-16 that is not":           {"TEXT", "text/plain; charset=utf-16", "q=1"},
		"text with half a letter of UTF-16":    {"TEXT", "text/plain; charset=utf-16", "\xff\xfea\x00\x00\xd8b\x00"},
		"a form in EBCDIC":                     {"URLENCODED", "application/x-www-form-urlencoded; charset=ibm037", "\x98~\xf1"},
		"a form in UTF-16 that is not":         {"URLENCODED", "application/x-www-form-urlencoded; charset=utf-16", "q=1"},
		"a form with letters of several bytes": {"URLENCODED", "application/x-www-form-urlencoded; charset=gbk", "q=\x81union"},
		"a form by escapes":                    {"URLENCODED", "application/x-www-form-urlencoded; charset=iso-2022-jp", "q=1"},
		"entities of its own":                  {"XML", "text/xml", `<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>`},
		"entities from elsewhere":              {"XML", "text/xml", `<!DOCTYPE a [<!ENTITY % b SYSTEM "http://evil.example/"> %b;]><a>x</a>`},
		"attributes by declaration":            {"XML", "text/xml", `<!DOCTYPE a [<!ATTLIST a b CDATA "x">]><a>x</a>`},
		"entities after a comment":             {"XML", "text/xml", `<!DOCTYPE a [<!-- ]> --><!ENTITY b "x">]><a>x</a>`},
		"a type from elsewhere":                {"XML", "text/xml", `<!DOCTYPE a SYSTEM "http://evil.example/a.dtd"><a>x</a>`},
		"a public type from elsewhere":         {"XML", "text/xml", `<!DOCTYPE a PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://www.w3.org@evil.example/a.dtd"><a>x</a>`},
		"a type from a file":                   {"XML", "text/xml", `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>x</a>`},
		"an unknown entity":                    {"XML", "text/xml", `<a>&b;</a>`},
		"XML that ends early":                  {"XML", "text/xml", `<a>x`},
		"elements that end crosswise":          {"XML", "text/xml", `<a><b>x</a></b>`},
		"an attribute without quotes":          {"XML", "text/xml", `<a b=1>x</a>`},
		"no element":                           {"XML", "text/xml", `x`},
		"deep XML":                             {"XML", "text/xml", strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33)},
		"text in each other":                   {"XML", "text/xml", strings.Repeat("<a>"+strings.Repeat("x", 200), 30) + strings.Repeat("</a>", 30)},
		"XML in UTF-7":                         {"XML", "text/xml", "<?xml version='1.0' encoding='utf-7'?><a>+ACc-</a>"},
		"a yen sign or a backslash":            {"XML", "text/xml", "<?xml version='1.0' encoding='Shift_JIS'?><a>\\</a>"},
		"XML that says it is UTF-16":           {"XML", "text/xml", "<?xml version='1.0' encoding='utf-16'?><a>x</a>"},
		"XML whose type says UTF-7":            {"XML", "text/xml; charset=utf-7", "<?xml version='1.0' encoding='utf-8'?><a>x</a>"},
		"XML of another version":               {"XML", "text/xml", "<?xml version='2.0'?><a>x</a>"},
		"a second declaration":                 {"XML", "text/xml", "<?xml version='1.0'?><?xml version='1.0' encoding='utf-16'?><a>x</a>"},
	} {
		t.Run(name, func(t *testing.T) {
			if values, refused := seenIn(t, one[0], one[1], one[2]); refused == "" {
				t.Errorf("it is read as %q", values)
			}
		})
	}
}

func TestWhatWasReadBeforeARefusalIsJudged(t *testing.T) {
	if values, _ := seenIn(t, "JSON", "application/json", `{"q":"x"} and more`); !slices.Contains(values, "json.q=x") {
		t.Errorf("of JSON are seen %q", values)
	}
	if values, _ := seenIn(t, "XML", "text/xml", `<a b="y">x<c>`); !slices.Contains(values, "/*=x") || !slices.Contains(values, "//@*=y") {
		t.Errorf("of XML are seen %q", values)
	}
}

// The beginning of a body that goes on is not refused for ending early.
func TestTheBeginningOfABodyIsReadAsFarAsItGoes(t *testing.T) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives("SecRuleEngine On\nSecRequestBodyAccess On\nSecRequestBodyJsonDepthLimit 32\n" +
		`SecRule REQUEST_HEADERS:content-type "@rx ([a-z]+)$" "id:1,phase:1,capture,pass,nolog,setvar:tx.` + partialBody + `=1"` + "\n" +
		`SecRule REQUEST_HEADERS:content-type "json" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"` + "\n" +
		`SecRule REQUEST_HEADERS:content-type "xml" "id:3,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for kind, one := range map[string]struct{ body, want string }{
		"application/json": {`{"q":"x","r":"ha`, "json.q=x"}, "text/xml": {`<a><b>x</b><b>ha`, "/*=x"},
	} {
		transaction := waf.NewTransaction()
		transaction.AddRequestHeader("content-type", kind)
		transaction.ProcessRequestHeaders()
		if _, _, err := transaction.WriteRequestBody([]byte(one.body)); err != nil {
			t.Fatal(err)
		}
		_, _ = transaction.ProcessRequestBody()
		values, refused := seen(transaction)
		_ = transaction.Close()
		if refused != "" || !slices.Contains(values, one.want) {
			t.Errorf("%s: seen are %q, refused: %q", kind, values, refused)
		}
	}
}

// A megabyte of chance bytes is neither slow nor an attack, whatever it begins with.
func TestBytesByChanceAreNotRead(t *testing.T) {
	chance := rand.New(rand.NewPCG(14, 10))
	for _, beginning := range []string{"", "{", "[", "<", "\xff\xfe", "\x00a", "a\x00"} {
		body := make([]byte, 1<<20)
		for at := range body {
			body[at] = byte(chance.Uint32())
		}
		if values, refused := seenIn(t, "BINARY", "application/octet-stream", beginning+string(body)); len(values) > 0 || refused != "" {
			t.Errorf("%q: %d values are seen, refused: %q", beginning, len(values), refused)
		}
	}
}

func FuzzBodies(f *testing.F) {
	for _, body := range []string{`{"a":[1,{"b":"c"}]}`, "<a b='c'>d<e/>f</a>", "\xff\xfe{\x00}\x00", "a=b&c", "{}\n[]\nx"} {
		f.Add(body, "application/json; charset=utf-16")
	}
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives("SecRuleEngine On\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body, kind string) {
		options := plugintypes.BodyProcessorOptions{Mime: kind, RequestBodyRecursionLimit: 32, ArgumentLimit: 100}
		for _, read := range []reading{readJSON, readNDJSON, readXML, readForm, readText, readBinary} {
			transaction := waf.NewTransaction()
			_ = read(body, transaction.(plugintypes.TransactionState).Variables(), options)
			_ = transaction.Close()
		}
	})
}
