package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// BenchmarkDataPath is `make bench-data-path`: what a request costs in the library, with Coraza's own `@rx` and with ours,
// in turns; medians of GUARDPANEL_ROUNDS rounds, in milliseconds of the processor.
func BenchmarkDataPath(b *testing.B) {
	rounds := numberFrom(b, "GUARDPANEL_ROUNDS", 5)
	for level := 1; level <= 4; level++ {
		sides := []*Application{compiledWith(b, newCorazaRX, level), compiledWith(b, newRX, level)}
		for _, shape := range shapes() {
			b.Run(fmt.Sprintf("%s/PL%d", shape.name, level), func(b *testing.B) {
				times := [2][]float64{}
				for range rounds {
					for side, application := range sides {
						times[side] = append(times[side], milliseconds(b, application, shape.message))
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(times[0]), "coraza-ms")
				b.ReportMetric(median(times[1]), "ours-ms")
				b.ReportMetric(median(times[0])/median(times[1]), "ratio")
			})
		}
		for _, side := range sides {
			side.retire()
		}
	}
}

// BenchmarkProfile is `make agent-profile`: each kind of request for the same time, so that the compiler's profile
// (default.pgo) weighs them alike.
func BenchmarkProfile(b *testing.B) {
	application := compiledWith(b, newRX, 1)
	for range numberFrom(b, "GUARDPANEL_ROUNDS", 10) {
		for _, shape := range shapes() {
			milliseconds(b, application, shape.message)
		}
	}
}

func compiledWith(b *testing.B, operator plugintypes.OperatorFactory, level int) *Application {
	b.Helper()
	plugins.RegisterOperator("rx", operator)
	defer plugins.RegisterOperator("rx", newRX)
	levels := fmt.Sprintf(
		"SecAction \"id:100001,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=%d,setvar:tx.detection_paranoia_level=%d\"\n", level, level)
	application, err := compile(ApplicationConfig{Name: "bench", Directives: strings.Replace(crs(), "Include @owasp_crs", levels+"Include @owasp_crs", 1)})
	if err != nil {
		b.Fatal(err)
	}
	return application
}

// milliseconds of the processor per request, garbage collection included, over a fifth of such a second and three requests
// at least. The clock would count what else the machine does.
func milliseconds(b *testing.B, application *Application, message Message) float64 {
	b.Helper()
	began, count := processorTime(b), 0
	for ; count < 3 || processorTime(b)-began < 200*time.Millisecond; count++ {
		application.enter()
		if _, err := inspectRequest(application, message, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
	return (processorTime(b) - began).Seconds() * 1000 / float64(count)
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

type shape struct {
	name    string
	message Message
}

// shapes are harmless requests.
func shapes() []shape {
	words := strings.Fields("the quick brown fox jumps over a lazy dog while seven small birds sing about summer rain and apple trees near our old house")
	random := rand.New(rand.NewPCG(1, 2))
	text := func(length int) string {
		written := &strings.Builder{}
		for written.Len() < length {
			written.WriteString(words[random.IntN(len(words))] + " ")
		}
		return written.String()[:length]
	}
	form := make([]string, 20)
	for at := range form {
		form[at] = fmt.Sprintf("field%d=%s", at, strings.ReplaceAll(text(44), " ", "+"))
	}
	items := make([]string, 640)
	for at := range items {
		items[at] = fmt.Sprintf(`{"id":%d,"title":"%s","price":%d.5}`, at, text(60), at)
	}
	upload := "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n" +
		text(1<<20) + "\r\n--line--\r\n"
	const urlencoded = "application/x-www-form-urlencoded"
	return []shape{
		{"GET", visit("GET", "", "")},
		{"form 1 KB", visit("POST", urlencoded, strings.Join(form, "&"))},
		{"text 16 KB", visit("POST", urlencoded, "text="+strings.ReplaceAll(text(16<<10), " ", "+"))},
		{"JSON 64 KB", visit("POST", "application/json", `{"items":[`+strings.Join(items, ",")+`]}`)},
		{"upload 1 MB", visit("POST", "multipart/form-data; boundary=line", upload)},
	}
}

func visit(method, contentType, body string) Message {
	headers := "host: shop.example\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\naccept-language: en-GB,en;q=0.5\r\n" +
		"accept-encoding: gzip, deflate, br\r\nreferer: https://shop.example/\r\ncookie: session=8f2b7c1d9e; theme=dark\r\n"
	if body != "" {
		headers += fmt.Sprintf("content-type: %s\r\ncontent-length: %d\r\n", contentType, len(body))
	}
	return Message{
		Method: method, Version: "1.1", Path: "/catalogue/shoes", Query: "size=42&colour=dark+green", Headers: headers, Body: []byte(body),
	}
}
