package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// make bench-events; figures in docs/benchmarks.md.

func benchmarked(b *testing.B, events *Events) *Application {
	b.Helper()
	application, err := compile(ApplicationConfig{Name: "bench", Directives: crs()})
	if err != nil {
		b.Fatal(err)
	}
	application.events = events
	b.Cleanup(application.retire)
	return application
}

func anAttack(id int) Message {
	return Message{
		ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", id), Method: "POST", Path: "/login", Query: attack, Version: "1.1",
		Headers: "host: shop.example\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64)\r\naccept: text/html,*/*;q=0.8\r\naccept-language: en\r\n" +
			"cookie: session=0123456789abcdef; theme=dark\r\nreferer: http://shop.example/\r\n" +
			"content-type: application/x-www-form-urlencoded\r\ncontent-length: 53\r\n",
		Body: []byte("user=vera&password=correct+horse&q=%3Cscript%3Ealert(1)"),
	}
}

func benchmarkedEvents(b *testing.B) *Events {
	b.Helper()
	events := startEvents(b.TempDir(), defaultLimits, eventMetrics())
	b.Cleanup(events.close)
	return events
}

// BenchmarkInspection is one blocked request, without events and with them.
func BenchmarkInspection(b *testing.B) {
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("events=%v", with), func(b *testing.B) {
			var events *Events
			if with {
				events = benchmarkedEvents(b)
			}
			inspect(b, benchmarked(b, events))
		})
	}
}

// BenchmarkInspectionBeside is one clean request's time while 10,000 events of others are written each second.
func BenchmarkInspectionBeside(b *testing.B) {
	for _, rate := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("events=%d/s", rate), func(b *testing.B) {
			events := benchmarkedEvents(b)
			application := benchmarked(b, nil)
			stop, stopped := make(chan struct{}), make(chan int)
			go func() { stopped <- pace(events, captured(b, events), rate, stop) }()
			times := make([]time.Duration, 0, b.N)
			began := time.Now()
			for b.Loop() {
				one := time.Now()
				application.enter()
				if _, err := inspectRequest(application, Message{Method: "GET", Path: "/", Query: "a=1&b=two", Version: "1.1", Headers: "host: a\r\naccept: */*\r\n"}, time.Time{}); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(one))
			}
			close(stop)
			made, took := <-stopped, time.Since(began)
			events.close()
			slices.Sort(times)
			b.ReportMetric(float64(made)/took.Seconds(), "events/s")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(count(events.metrics.dropped.WithLabelValues("queue")), "dropped")
		})
	}
}

// BenchmarkEventWriter is one event from the queue to the disk: masked, written as JSON, with nobody else at work.
func BenchmarkEventWriter(b *testing.B) {
	events := benchmarkedEvents(b)
	event := captured(b, events)
	for b.Loop() {
		for len(events.queue) == cap(events.queue) {
			time.Sleep(100 * time.Microsecond)
		}
		events.put(event)
	}
	events.close()
	written := count(events.metrics.written)
	b.ReportMetric(written/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(count(events.metrics.bytes)/written, "bytes/event")
	b.ReportMetric(count(events.metrics.dropped.WithLabelValues("queue")), "dropped")
}

func inspect(b *testing.B, application *Application) {
	for id := 0; b.Loop(); id++ {
		application.enter()
		if verdict, err := inspectRequest(application, anAttack(id), time.Time{}); err != nil || verdict.Interruption == nil {
			b.Fatal(verdict, err)
		}
	}
}

// captured is a real event.
func captured(b *testing.B, events *Events) *Event {
	b.Helper()
	application := benchmarked(b, &Events{queue: make(chan entry, 1), metrics: events.metrics})
	application.enter()
	if _, err := inspectRequest(application, anAttack(0), time.Time{}); err != nil {
		b.Fatal(err)
	}
	event := (<-application.events.queue).(*Event)
	event.size = 1
	return event
}

// pace puts so many events a second, in steps of a millisecond; gives how many.
func pace(events *Events, event *Event, rate int, stop <-chan struct{}) int {
	began, made := time.Now(), 0
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return made
		case <-ticker.C:
			for ; made < int(time.Since(began).Seconds()*float64(rate)); made++ {
				events.put(event)
			}
		}
	}
}
