// Visitors of a HAProxy that is reloaded all the time, for tests/load/zero_drop.py.
//
// They are strict: a kept connection that ends without an answer is a lost request, whoever was faster, and nothing is
// ever asked twice. What was met is counted by what decided it, and judged afterwards (tests/load/judge.py).
//
// Talks in JSON lines. Says the ports of its servers first; takes the plan; then a line for each save that was
// acknowledged, and answers how many requests there were so far; at the end of its input the report.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is what the visitors do. Seed makes their choices the same again.
type Plan struct {
	Proxy  string
	Secret string
	Seed   uint64
	Fleets []Fleet
}

// Fleet is some visitors who behave alike.
type Fleet struct {
	Name     string
	Visitors int
	Hosts    []string
	Kinds    []string // of requests; one that is named twice is sent twice as often
	Keeps    bool     // its connections; otherwise each request opens one
	PauseMS  int      // the longest pause between two requests
}

const servers = 6

var (
	floor atomic.Int64 // the number of the newest acknowledged save
	asked atomic.Int64
	ends  = make(chan struct{})
)

func main() {
	log.SetFlags(0)
	out := json.NewEncoder(os.Stdout)
	say(out, map[string]any{"servers": startServers(servers), "ill": []int{startIll(), startIll()}})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	var plan Plan
	if !in.Scan() || json.Unmarshal(in.Bytes(), &plan) != nil {
		log.Fatal("no plan")
	}
	began := time.Now()
	wait, tallies := send(plan)
	for in.Scan() {
		floor.Add(1)
		say(out, map[string]int64{"requests": asked.Load()})
	}
	close(ends)
	wait.Wait()
	say(out, merged(tallies, time.Since(began)))
}

func send(plan Plan) (*sync.WaitGroup, []*Tally) {
	var wait sync.WaitGroup
	var tallies []*Tally
	for _, fleet := range plan.Fleets {
		for range fleet.Visitors {
			number := uint64(len(tallies))
			tally := newTally()
			tallies = append(tallies, tally)
			visitor := &Visitor{plan: plan, fleet: fleet, tally: tally, chance: rand.New(rand.NewPCG(plan.Seed, number))}
			wait.Go(visitor.visit)
		}
	}
	return &wait, tallies
}

func say(out *json.Encoder, what any) {
	if err := out.Encode(what); err != nil {
		log.Fatal(err)
	}
}
