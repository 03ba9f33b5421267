package main

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkArguments is what one more value costs: fields of a form and members of JSON, whose values are words, in numbers that a
// policy may take. Milliseconds of the processor per request, and per value beside those of ten.
func BenchmarkArguments(b *testing.B) {
	level := "SecArgumentsLimit 10000\n"
	application, err := compile(ApplicationConfig{Name: "bench", Directives: strings.Replace(crs(), "Include @owasp_crs", level+"Include @owasp_crs", 1)})
	if err != nil {
		b.Fatal(err)
	}
	kinds := map[string]func(int) Message{
		"form": func(count int) Message {
			return visit("POST", "application/x-www-form-urlencoded", repeated(count, "field%d=green+apples", "&"))
		},
		"JSON": func(count int) Message {
			return visit("POST", "application/json", "{"+repeated(count, `"field%d":"green apples"`, ",")+"}")
		},
	}
	for _, kind := range []string{"form", "JSON"} {
		few := milliseconds(b, application, kinds[kind](10))
		for _, count := range []int{100, 300, 1000, 3000} {
			b.Run(fmt.Sprintf("%s/%d", kind, count), func(b *testing.B) {
				times := make([]float64, numberFrom(b, "GUARDPANEL_ROUNDS", 5))
				for at := range times {
					times[at] = milliseconds(b, application, kinds[kind](count))
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(times), "ms")
				b.ReportMetric((median(times)-few)/float64(count-10), "ms/value")
			})
		}
	}
}

func repeated(count int, pattern, between string) string {
	parts := make([]string, count)
	for at := range parts {
		parts[at] = fmt.Sprintf(pattern, at)
	}
	return strings.Join(parts, between)
}
