package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the agent's own, in a registry of their own.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	reloads  *prometheus.CounterVec
}

func newMetrics(applications *Applications) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "guardpanel_spoa_requests_total", Help: "Messages by application and verdict (pass, detected, blocked, error, probe).",
		}, []string{"application", "verdict"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "guardpanel_spoa_request_seconds", Help: "Time to a verdict.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}, []string{"application"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "guardpanel_spoa_reloads_total", Help: "Reloads by result (done, refused).",
		}, []string{"result"}),
	}
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "guardpanel_spoa_applications", Help: "Applications that run.",
	}, func() float64 { return float64(len(applications.all())) })
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "guardpanel_spoa_build_info", Help: "Versions, always 1.",
		ConstLabels: prometheus.Labels{"version": version, "coraza": corazaVersion(), "crs": crsVersion()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.requests, m.seconds, m.reloads, running, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// forget drops the series of an application that is gone: names are hashes, and would only grow in number.
func (m *Metrics) forget(name string) {
	m.requests.DeletePartialMatch(prometheus.Labels{"application": name})
	m.seconds.DeletePartialMatch(prometheus.Labels{"application": name})
}
