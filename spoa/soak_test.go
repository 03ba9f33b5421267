package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSoak runs the agent as a process of its own, with events, under mixed traffic with a reload each second, while a reader follows
// its segments. GUARDPANEL_SOAK_SECONDS sets how long (`make soak-agent`: 600). Every request gets its verdict, every event is
// read or was counted as dropped, and memory stays.
func TestSoak(t *testing.T) {
	seconds := numberFrom(t, "GUARDPANEL_SOAK_SECONDS", 3)
	s := written(t, generation(0))
	s.level, s.events = "info", t.TempDir()
	s.write(t, generation(0))
	agent, log := process(t, "-config", s.file, "-control", "unix:"+s.control, "-events", s.events)
	log.until("serving")
	go func() {
		for range log.lines { // a full one would hold the agent up
		}
	}()
	reader, load := follow(s.events), mixed(t, s)

	memory := s.reloads(t, agent, load, seconds)
	load.end()
	facts := s.settled(t, load)
	_ = agent.Process.Signal(syscall.SIGTERM)
	if err := agent.Wait(); err != nil {
		t.Error(err)
	}
	read, torn := reader.end()

	warm := memory[len(memory)/4:]
	t.Logf("%d reloads, %d requests, %d without the right verdict, %d late; %d events made, %d read, %d counted as dropped; "+
		"memory after a quarter %.1f MiB, at the end %.1f MiB, slope %+.3f MiB a minute",
		seconds, load.asked.Load(), load.wrong.Load(), load.late.Load(), load.made.Load(), read, facts.dropped, warm[0], warm[len(warm)-1], slope(warm))
	if load.wrong.Load() > 0 || load.asked.Load() == 0 {
		t.Errorf("%d of %d requests without the right verdict", load.wrong.Load(), load.asked.Load())
	}
	if int64(facts.written+facts.dropped) != load.made.Load() || read != facts.written || torn > 0 || facts.removed > 0 {
		t.Errorf("%d events made, %+v; read %d and %d torn", load.made.Load(), facts, read, torn)
	}
	if seconds >= 30 && median(slices.Clone(warm[len(warm)/2:])) > 1.1*median(slices.Clone(warm[:len(warm)/2]))+16 {
		t.Errorf("memory grows: %.0f", memory)
	}
}

// reloads brings a new application each second; gives the process's resident memory, in MiB, after each.
func (s *started) reloads(t *testing.T, agent *exec.Cmd, load *mixedLoad, seconds int) (memory []float64) {
	t.Helper()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for at := 1; at <= seconds; at++ {
		load.finished(at - 2)
		s.write(t, generation(at))
		if status, said := s.call(t, "POST", "/v1/reload"); status != 200 {
			t.Fatal(said)
		}
		load.advance()
		<-ticker.C
		memory = append(memory, resident(t, agent.Process.Pid))
	}
	return memory
}

// eventFacts is what the agent counts of its events.
type eventFacts struct{ written, dropped, removed int }

// settled waits until no event waits to be written.
func (s *started) settled(t *testing.T, load *mixedLoad) (facts eventFacts) {
	t.Helper()
	eventually(t, func() bool {
		_, metrics := s.call(t, "GET", "/metrics")
		facts = eventFacts{}
		for line := range strings.Lines(metrics) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			number, _ := strconv.ParseFloat(value, 64)
			switch {
			case name == "guardpanel_spoa_events_written_total":
				facts.written = int(number)
			case strings.HasPrefix(name, "guardpanel_spoa_events_dropped_total"):
				facts.dropped += int(number)
			case name == "guardpanel_spoa_event_segments_removed_total":
				facts.removed = int(number)
			}
		}
		return int64(facts.written+facts.dropped) >= load.made.Load()
	})
	return facts
}

// mixedLoad asks without a pause, on four connections: for the steady application and for the newest, clean requests of several
// shapes and attacks.
type mixedLoad struct {
	load
	made atomic.Int64 // events
	late atomic.Int64 // requests that were answered with errorLate
}

func mixed(t *testing.T, s *started) *mixedLoad {
	t.Helper()
	l := &mixedLoad{load: load{stopped: make(chan struct{}), generations: []*sync.WaitGroup{{}}}}
	for at := range 4 {
		c := dial(t, s.socket)
		l.group.Go(func() {
			for round := at; ; round++ {
				select {
				case <-l.stopped:
					return
				default:
				}
				l.once(t, c, round)
			}
		})
	}
	return l
}

func (l *mixedLoad) once(t *testing.T, c *client, round int) {
	one := mixture[round%len(mixture)]
	newest, done := l.newest()
	defer done()
	if one.app == "" {
		one.app = newest
	}
	one.id = fmt.Sprintf("%p-%d", c, round)
	var expected any
	if strings.Contains(one.query, "attack") {
		expected = "deny"
	}
	answer, err := c.tryNotify(one.encode())
	l.asked.Add(1)
	if answer["error"] == errorLate { // no fault of the agent's on a machine that is too busy
		l.late.Add(1)
		return
	}
	if answer["action"] == "deny" {
		l.made.Add(1)
	}
	if err != nil || answer["error"] != nil || answer["action"] != expected {
		l.wrong.Add(1)
		t.Errorf("%s was answered with %v, %v", one.app, answer, err)
	}
}

// newest is the application of the last reload, which stays until done.
func (l *mixedLoad) newest() (name string, done func()) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	newest := len(l.generations) - 1
	under := l.generations[newest]
	under.Add(1)
	return fmt.Sprintf("p%d", newest), under.Done
}

// mixture is what is asked; without an application: the newest.
var mixture = func() []request {
	asked := []request{{app: "steady", query: "a=attack"}, {query: "a=attack"}, {app: "steady", query: "a=1"}}
	for _, one := range shapes()[:3] {
		m := one.message
		asked = append(asked, request{method: m.Method, path: m.Path, query: m.Query, headers: m.Headers, body: string(m.Body)})
	}
	return asked
}()

// follower reads segments as they are written.
type follower struct {
	dir     string
	stopped chan struct{}
	done    chan struct{}
	offsets map[string]int64
	rest    map[string][]byte // of a line whose end is not there yet
	lines   int
}

func follow(dir string) *follower {
	f := &follower{
		dir: dir, stopped: make(chan struct{}), done: make(chan struct{}), offsets: map[string]int64{}, rest: map[string][]byte{},
	}
	go func() {
		defer close(f.done)
		for {
			f.read()
			select {
			case <-f.stopped:
				f.read()
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return f
}

func (f *follower) read() {
	paths, _ := filepath.Glob(filepath.Join(f.dir, "*"+segmentEnding))
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			continue // it went
		}
		more := &bytes.Buffer{}
		_, _ = file.Seek(f.offsets[path], 0)
		count, _ := more.ReadFrom(file)
		_ = file.Close()
		f.offsets[path] += count
		lines := bytes.Split(append(f.rest[path], more.Bytes()...), []byte("\n"))
		f.lines += len(lines) - 1
		f.rest[path] = bytes.Clone(lines[len(lines)-1])
	}
}

// end reads what is left; gives the lines, and how many have no end.
func (f *follower) end() (lines, torn int) {
	close(f.stopped)
	<-f.done
	for _, rest := range f.rest {
		if len(rest) > 0 {
			torn++
		}
	}
	return f.lines, torn
}

func resident(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20)
}

// slope is the straight line's that fits values of one second each, per minute.
func slope(values []float64) float64 {
	middle, sum := float64(len(values)-1)/2, 0.0
	for _, value := range values {
		sum += value
	}
	mean, up, over := sum/float64(len(values)), 0.0, 0.0
	for at, value := range values {
		x := float64(at) - middle
		up, over = up+x*(value-mean), over+x*x
	}
	return 60 * up / max(over, 1)
}
