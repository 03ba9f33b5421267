package main

import "github.com/prometheus/client_golang/prometheus"

// EventMetrics count what happened to events. Each one was written, or dropped for one of these reasons.
type EventMetrics struct {
	written prometheus.Counter
	dropped *prometheus.CounterVec
	bytes   prometheus.Counter
	removed prometheus.Counter

	recorded, recordsDropped prometheus.Counter
}

func newEventMetrics(registry prometheus.Registerer) *EventMetrics {
	m := &EventMetrics{
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "guardpanel_spoa_events_written_total", Help: "Events written to segment files.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "guardpanel_spoa_events_dropped_total",
			Help: "Events not written, by cause (queue: full; disk: write error; fault: internal error).",
		}, []string{"cause"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "guardpanel_spoa_event_bytes_total", Help: "Bytes written to segment files.",
		}),
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "guardpanel_spoa_event_segments_removed_total", Help: "Segment files deleted because of size or age.",
		}),
		recorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "guardpanel_spoa_recorded_requests_total", Help: "Ordinary requests recorded in segment files.",
		}),
		recordsDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "guardpanel_spoa_recorded_requests_dropped_total", Help: "Ordinary requests chosen for recording but not written.",
		}),
	}
	for _, cause := range []string{"queue", "disk", "fault"} {
		m.dropped.WithLabelValues(cause) // exists from the start, so that alerts see it rise
	}
	registry.MustRegister(m.written, m.dropped, m.bytes, m.removed, m.recorded, m.recordsDropped)
	return m
}
