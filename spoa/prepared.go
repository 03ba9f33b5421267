package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// validationBytes is enough for 30 policies of the largest size.
const validationBytes = 128 << 20

// validate answers POST /v1/validate with {"applications": […]}: 200 with a validation, as `-validate` prints it, 400 if they
// are no applications, 413 for too many bytes. It compiles them next to those that serve, which takes a fifth of the time of a new
// process, and keeps them for the next reload, which then need not.
func (a *Agent) validate(w http.ResponseWriter, r *http.Request) {
	config := &Config{Bind: a.config.Load().Bind}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, validationBytes))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&struct {
		Applications *[]ApplicationConfig `json:"applications"`
	}{&config.Applications})
	if errors.As(err, new(*http.MaxBytesError)) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request body exceeds %d bytes", validationBytes))
		return
	}
	if err == nil {
		err = config.check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	built, problems := compileAll(config.Applications)
	a.applications.prepare(built, len(problems) == 0)
	answer(w, http.StatusOK, newValidation(built, problems))
}

// prepare keeps applications for the next reload, instead of those that it kept before.
func (a *Applications) prepare(built []compiled, valid bool) {
	next := map[string]compiled{}
	for _, one := range built {
		if valid {
			next[one.application.Config.Name] = one
		} else {
			one.application.retire()
		}
	}
	a.replacePrepared(next)
}

// takePrepared returns what was prepared, which is the caller's then.
func (a *Applications) takePrepared() map[string]compiled {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	taken := a.prepared
	a.prepared = nil
	return taken
}

// replacePrepared closes what was prepared before.
func (a *Applications) replacePrepared(next map[string]compiled) {
	a.mutex.Lock()
	before := a.prepared
	a.prepared = next
	a.mutex.Unlock()
	for _, old := range before {
		old.application.retire()
	}
}

// build compiles applications, except those that are prepared. What was prepared in vain is closed.
func (a *Applications) build(configs []ApplicationConfig) ([]compiled, []Problem) {
	prepared := a.takePrepared()
	var ready []compiled
	var fresh []ApplicationConfig
	for _, wanted := range configs {
		if one, found := prepared[wanted.Name]; found && one.application.Config.same(wanted) {
			one.application.LoadedAt = time.Now().UTC()
			ready = append(ready, one)
			delete(prepared, wanted.Name)
		} else {
			fresh = append(fresh, wanted)
		}
	}
	for _, old := range prepared {
		old.application.retire()
	}
	built, problems := compileAll(fresh)
	return append(ready, built...), problems
}
