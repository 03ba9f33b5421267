package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
)

// ReplayHead is the first line of POST /v1/replay: the rule sets under which each of the requests that follow is judged.
type ReplayHead struct {
	Under []Under `json:"under"`
}

func readHead(lines *bufio.Scanner) (*ReplayHead, error) {
	if !lines.Scan() {
		return nil, errors.Join(errors.New("the first line is missing"), lines.Err())
	}
	head := &ReplayHead{}
	if err := readStrictly(bytes.NewReader(lines.Bytes()), head); err != nil {
		return nil, err
	}
	if len(head.Under) == 0 || len(head.Under) > replayRuleSets {
		return nil, fmt.Errorf("under requires 1 to %d rule sets", replayRuleSets)
	}
	for at := range head.Under {
		if err := head.Under[at].check(); err != nil {
			return nil, fmt.Errorf("under[%d]: %w", at, err)
		}
	}
	return head, nil
}

// askedAll are the applications, entered: the caller must `leave` them. `refused` answers where one cannot be had.
type askedAll struct {
	applications []*Application
	refused      func(http.ResponseWriter)
}

func (a *Agent) askedAll(under []Under) (all askedAll) {
	aside(replayNice, func() {
		for at := range under {
			application, _, problem := a.asked(under[at])
			switch {
			case problem != nil:
				all.refused = func(w http.ResponseWriter) {
					answer(w, http.StatusUnprocessableEntity, map[string]any{"under": at, "errors": []Problem{*problem}})
				}
				return
			case application == nil:
				all.refused = func(w http.ResponseWriter) {
					refuse(w, http.StatusNotFound, fmt.Sprintf("under[%d]: application not found", at))
				}
				return
			}
			all.applications = append(all.applications, application)
		}
	})
	return all
}

func (a askedAll) leave() {
	for _, application := range a.applications {
		application.leave()
	}
}
