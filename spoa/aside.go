package main

import (
	"runtime"
	"syscall"
)

// Nice values of what waits for visitors. Someone looks at an evaluation; replays take what is left.
const (
	evaluationNice = 10
	replayNice     = 19
)

// aside does work on a thread of its own, which the kernel stops when a visitor's inspection, HAProxy or anything else at the
// usual priority wants the processor: sooner and for shorter than work that pauses could. A panic of the work is the caller's.
func aside(nice int, work func()) {
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		runtime.LockOSThread()                                 // never unlocked: with the goroutine its thread ends, whose priority could not be raised again
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, nice) // on Linux, of this thread alone
		work()
	}()
	<-done
	if panicked != nil {
		panic(panicked)
	}
}
