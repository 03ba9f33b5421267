package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestReloads changes applications under load. GUARDPANEL_RELOADS sets how often (`make soak-agent`: 1000).
func TestReloads(t *testing.T) {
	reloads := 30
	if text := os.Getenv("GUARDPANEL_RELOADS"); text != "" {
		var err error
		if reloads, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	changing := func(at int) []ApplicationConfig {
		directives := strings.Replace(crs(), "Include @crs-setup", fmt.Sprintf("SecAction \"id:%d,phase:1,pass,nolog\"\nInclude @crs-setup", 100_500+at%40_000), 1)
		return []ApplicationConfig{{Name: "steady", Directives: small}, {Name: fmt.Sprintf("p%d", at), Directives: directives}}
	}
	agent := start(t, changing(0))
	var asked, wrong atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		c := dial(t, agent.socket)
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := c.tryNotify(request{app: "steady", query: "a=attack"}.encode())
				asked.Add(1)
				if err != nil || answer["action"] != "deny" {
					wrong.Add(1)
				}
			}
		}()
	}
	var heap, files int
	for at := 1; at <= reloads; at++ {
		agent.write(t, changing(at))
		if _, problems := agent.reload(); len(problems) > 0 {
			t.Fatal(problems)
		}
		if at == 10 {
			heap, files = usage(t)
		}
	}
	heapAfter, filesAfter := usage(t)
	close(stop)
	group.Wait()

	t.Logf("%d reloads, %d requests; heap %d → %d KiB, files %d → %d", reloads, asked.Load(), heap/1024, heapAfter/1024, files, filesAfter)
	if wrong.Load() > 0 || asked.Load() == 0 {
		t.Errorf("%d of %d requests without the right verdict", wrong.Load(), asked.Load())
	}
	if float64(heapAfter) > 1.1*float64(heap) {
		t.Errorf("heap grew from %d to %d KiB", heap/1024, heapAfter/1024)
	}
	if float64(filesAfter) > 1.1*float64(files) {
		t.Errorf("open files grew from %d to %d", files, filesAfter)
	}
}

// usage gives the heap in use after a collection, and the number of open files.
func usage(t *testing.T) (heap, files int) {
	t.Helper()
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
