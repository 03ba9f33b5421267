package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestReloads changes applications under load. GUARDPANEL_RELOADS sets how often (`make soak-agent`: 1000).
func TestReloads(t *testing.T) {
	reloads := numberFrom(t, "GUARDPANEL_RELOADS", 15)
	agent := start(t, generation(0))
	load := begin(t, agent)

	var heap, files int
	for at := 1; at <= reloads; at++ {
		load.finished(at - 2)
		agent.write(t, generation(at))
		if _, problems := agent.reload(); len(problems) > 0 {
			t.Fatal(problems)
		}
		load.advance()
		if at == 10 {
			heap, files = load.usage(t)
		}
	}
	heapAfter, filesAfter := load.usage(t)
	load.end()

	t.Logf("%d reloads, %d requests; heap %d → %d KiB, files %d → %d",
		reloads, load.asked.Load(), heap/1024, heapAfter/1024, files, filesAfter)
	if load.wrong.Load() > 0 || load.asked.Load() == 0 {
		t.Errorf("%d of %d requests without the right verdict", load.wrong.Load(), load.asked.Load())
	}
	if reloads > 10 && float64(heapAfter) > 1.1*float64(heap)+4<<20 {
		t.Errorf("heap grew from %d to %d KiB", heap/1024, heapAfter/1024)
	}
	if reloads > 10 && float64(filesAfter) > 1.1*float64(files)+2 {
		t.Errorf("open files grew from %d to %d", files, filesAfter)
	}
}

// generation is the applications after so many reloads: a steady one, a new one with the whole rule set, and the one
// before, which HAProxy's old workers still ask for. Some check responses, so that their sweeps must end too.
func generation(at int) []ApplicationConfig {
	list := []ApplicationConfig{{Name: "steady", Directives: small}}
	for number := max(0, at-1); number <= at; number++ {
		rule := fmt.Sprintf("SecAction \"id:%d,phase:1,pass,nolog\"\nSecRule ARGS \"@rx ^attack(%d)?$\" \"id:190001,phase:1,deny,status:403,msg:'own'\"\n",
			100_500+number%40_000, number)
		list = append(list, ApplicationConfig{
			Name: fmt.Sprintf("p%d", number), Directives: strings.Replace(crs(), "Include @crs-setup", rule+"Include @crs-setup", 1),
			ResponseCheck: number%2 == 0, TransactionTTLMS: 1000,
		})
	}
	return list
}

// load asks without a pause, on four connections: for the steady application and for the newest.
type load struct {
	asked, wrong atomic.Int64
	stopped      chan struct{}
	group        sync.WaitGroup
	pause        sync.RWMutex // held while usage is measured, between requests

	mutex       sync.Mutex
	generations []*sync.WaitGroup // the requests for each that are under way
}

func begin(t *testing.T, agent *started) *load {
	t.Helper()
	l := &load{stopped: make(chan struct{}), generations: []*sync.WaitGroup{{}}}
	for at := range 4 {
		c := dial(t, agent.socket)
		l.group.Add(1)
		go func() {
			defer l.group.Done()
			for round := at; ; round++ {
				select {
				case <-l.stopped:
					return
				default:
				}
				if round%2 == 0 {
					l.ask(t, c, "steady")
				} else {
					l.askNewest(t, c)
				}
			}
		}()
	}
	return l
}

func (l *load) askNewest(t *testing.T, c *client) {
	l.mutex.Lock()
	newest := len(l.generations) - 1
	under := l.generations[newest]
	under.Add(1)
	l.mutex.Unlock()
	defer under.Done()
	l.ask(t, c, fmt.Sprintf("p%d", newest))
}

func (l *load) advance() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.generations = append(l.generations, &sync.WaitGroup{})
}

// finished waits until nobody asks for a generation, as the panel waits for the last of HAProxy's workers that does.
func (l *load) finished(at int) {
	if at < 0 {
		return
	}
	l.mutex.Lock()
	under := l.generations[at]
	l.mutex.Unlock()
	under.Wait()
}

func (l *load) ask(t *testing.T, c *client, application string) {
	l.pause.RLock()
	defer l.pause.RUnlock()
	answer, err := c.tryNotify(request{app: application, query: "a=attack"}.encode())
	l.asked.Add(1)
	if err != nil || answer["action"] != "deny" {
		l.wrong.Add(1)
		t.Errorf("%s was answered with %v, %v", application, answer, err)
	}
}

func (l *load) end() {
	close(l.stopped)
	l.group.Wait()
}

// usage gives the heap in use after a collection, and the number of open files.
func (l *load) usage(t *testing.T) (heap, files int) {
	t.Helper()
	l.pause.Lock()
	defer l.pause.Unlock()
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return int(stats.HeapInuse), len(entries)
}
