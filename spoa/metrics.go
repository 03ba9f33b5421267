package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the agent's metrics, in their own registry.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	errors   *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	compile  prometheus.Histogram
}

func newMetrics(applications *Applications, queue *admission) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "guardpanel_spoa_requests_total", Help: "Messages, by application and verdict (pass, detected, blocked, error, probe).",
		}, []string{"application", "verdict"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "guardpanel_spoa_request_seconds", Help: "Time to the response, including time in the queue.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}, []string{"application"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "guardpanel_spoa_bytes_total", Help: "Bytes of messages that rules inspect: URI, headers, body.",
		}, []string{"application"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "guardpanel_spoa_errors_total",
			Help: "Messages without a verdict, by cause (unknown_application, bad_message, internal, no_request, queue_full, late).",
		}, []string{"cause"}),
		compile: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "guardpanel_spoa_compile_seconds", Help: "Time to compile one application.",
			Buckets: []float64{.01, .02, .05, .1, .2, .5, 1, 2, 5},
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "guardpanel_spoa_reloads_total", Help: "Reloads, by result (done, refused).",
		}, []string{"result"}),
	}
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "guardpanel_spoa_applications", Help: "Applications that are running.",
	}, func() float64 { return float64(len(applications.all())) })
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "guardpanel_spoa_build_info", Help: "Versions; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "coraza": corazaVersion(), "crs": crsVersion()},
	})
	build.Set(1)
	for _, cause := range causes {
		m.errors.WithLabelValues(cause) // from the start: an alert on an increase needs the zero before it
	}
	m.registry.MustRegister(
		m.requests, m.seconds, m.bytes, m.errors, m.reloads, m.compile, running, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.registry.MustRegister(queueGauges(queue)...)
	return m
}

func queueGauges(queue *admission) []prometheus.Collector {
	gauge := func(name, help string, read func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "guardpanel_spoa_" + name, Help: help},
			func() float64 { return float64(read()) })
	}
	return []prometheus.Collector{
		gauge("queue_depth", "Messages that wait for a slot.", func() int { waiting, _, _ := queue.depth(); return waiting }),
		gauge("queue_bytes", "Bytes of messages that wait.", func() int { _, bytes, _ := queue.depth(); return bytes }),
		gauge("inspections_running", "Messages that are being judged.", func() int { _, _, running := queue.depth(); return running }),
	}
}

// compiled records the compile time of each new application.
func (m *Metrics) compiled(outcome Outcome) {
	for _, added := range outcome.Added {
		m.compile.Observe(added.Seconds)
	}
}

// forget drops the series of a retired application: names are hashes, so series would accumulate.
func (m *Metrics) forget(name string) {
	m.requests.DeletePartialMatch(prometheus.Labels{"application": name})
	m.seconds.DeletePartialMatch(prometheus.Labels{"application": name})
	m.bytes.DeletePartialMatch(prometheus.Labels{"application": name})
}
