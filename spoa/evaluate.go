package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Limits of an evaluation. Bodies and directives are sent as JSON, bodies in base64: 4 MiB of each body fit.
const (
	evaluationBytes      = 16 << 20
	evaluationDirectives = 1 << 20
	evaluationTime       = 10 * time.Second // of the processor
	evaluationsAtOnce    = 2
)

// evaluate answers POST /v1/evaluate: 200 with an Evaluation, 400 for an invalid question, 404 for an unknown
// application, 413 for too many bytes, 422 for directives that Coraza rejects, 429 if enough are running, 504 on
// timeout. Counters, events and logs of live traffic are not affected.
func (a *Agent) evaluate(w http.ResponseWriter, r *http.Request) {
	select {
	case a.evaluations <- struct{}{}:
		defer func() { <-a.evaluations }()
	default:
		// Read, so that a client that is still sending is answered, and not reset.
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, evaluationBytes))
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, fmt.Sprintf("%d evaluations are already running", evaluationsAtOnce))
		return
	}
	question, err := readQuestion(http.MaxBytesReader(w, r.Body, evaluationBytes))
	if errors.As(err, new(*http.MaxBytesError)) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request body exceeds %d bytes", evaluationBytes))
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !a.replays.enter(r.Context()) { // their share of the processors is this one's, too
		return
	}
	defer a.replays.leave()
	aside(evaluationNice, func() { a.evaluateQuestion(w, question, r.Context()) })
}

func (a *Agent) evaluateQuestion(w http.ResponseWriter, question *Question, ended context.Context) {
	application, compiling, problem := a.asked(Under{question.Application, question.Directives})
	switch {
	case problem != nil:
		answer(w, http.StatusUnprocessableEntity, map[string]any{"errors": []Problem{*problem}})
		return
	case application == nil:
		refuse(w, http.StatusNotFound, "application not found")
		return
	}
	defer application.leave()
	evaluation, err := evaluateGuarded(application, question, a.evaluating, ended)
	if err != nil {
		refuse(w, statusOf(err), err.Error())
		return
	}
	evaluation.Seconds.Compile = compiling.Seconds()
	answer(w, http.StatusOK, evaluation)
}

func refuse(w http.ResponseWriter, status int, words string) {
	answer(w, status, map[string]string{"error": words})
}

func statusOf(err error) int {
	if errors.Is(err, errLate) {
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// asked returns the application, entered: the caller must `leave` it. Nil if it is not loaded. One that was compiled
// for this question is already retired, and therefore closed when it is left.
func (a *Agent) asked(under Under) (*Application, time.Duration, *Problem) {
	if under.Application != "" {
		application, _ := a.applications.named(under.Application)
		return application, 0, nil
	}
	began := time.Now()
	config := ApplicationConfig{Directives: under.Directives}
	application, err := compile(config)
	if err != nil {
		return nil, 0, locate(config, err)
	}
	application.enter()
	application.retire()
	return application, time.Since(began), nil
}
