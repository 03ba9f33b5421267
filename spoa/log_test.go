package main

import "testing"

func TestALogLineTooManyIsCounted(t *testing.T) {
	l := &limiter{perSecond: 0}
	for range 100 {
		l.report("an attacker's")
	}

	if l.written != 0 || l.suppressed != 100 {
		t.Errorf("%d written, %d suppressed", l.written, l.suppressed)
	}
}
