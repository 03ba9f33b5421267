package main

import (
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Status is the agent's own status.
type Status struct {
	Version        string              `json:"version"`
	CorazaVersion  string              `json:"coraza_version"`
	CRSVersion     string              `json:"crs_version"`
	PID            int                 `json:"pid"`
	UptimeSeconds  float64             `json:"uptime_seconds"`
	ConfigChecksum string              `json:"config_checksum"`
	Applications   []ApplicationStatus `json:"applications"`
}

// ApplicationStatus counts visitors' requests, without the panel's own.
type ApplicationStatus struct {
	Name     string    `json:"name"`
	Rules    int       `json:"rules"`
	LoadedAt time.Time `json:"loaded_at"`
	Requests int64     `json:"requests"`
	Blocked  int64     `json:"blocked"`
	Errors   int64     `json:"errors"`
}

// control is the HTTP interface of the control socket.
func (a *Agent) control() http.Handler {
	mux := http.NewServeMux()
	for path, method := range map[string]string{
		"/v1/status": "GET", "/v1/reload": "POST", "/v1/rules": "GET", "/v1/evaluate": "POST", "/v1/replay": "POST",
		"/v1/validate": "POST", "/metrics": "GET",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method)
			answer(w, http.StatusMethodNotAllowed, map[string]string{"error": "method not allowed; use " + method})
		})
	}
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, a.status())
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) {
		if outcome, problems := a.reload(); len(problems) > 0 {
			answer(w, http.StatusUnprocessableEntity, map[string]any{"errors": problems})
		} else {
			answer(w, http.StatusOK, outcome)
		}
	})
	mux.HandleFunc("GET /v1/rules", a.rules)
	mux.HandleFunc("POST /v1/evaluate", a.evaluate)
	mux.HandleFunc("POST /v1/replay", a.replay)
	mux.HandleFunc("POST /v1/validate", a.validate)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, map[string]string{"error": "not found"})
	})
	return mux
}

func (a *Agent) status() Status {
	status := Status{
		Version: version, CorazaVersion: corazaVersion(), CRSVersion: crsVersion(), PID: os.Getpid(),
		UptimeSeconds: time.Since(a.started).Seconds(), ConfigChecksum: a.config.Load().Checksum, Applications: []ApplicationStatus{},
	}
	for _, application := range a.applications.all() {
		status.Applications = append(status.Applications, ApplicationStatus{
			Name: application.Config.Name, Rules: application.Rules, LoadedAt: application.LoadedAt,
			Requests: application.requests.Load(), Blocked: application.blocked.Load(), Errors: application.errors.Load(),
		})
	}
	return status
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document)
}
