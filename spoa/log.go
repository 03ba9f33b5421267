package main

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// startLog writes JSON lines to stderr, or as configured.
func startLog(config *Config) error {
	level := slog.LevelInfo
	switch strings.ToLower(config.LogLevel) {
	case "debug", "trace":
		level = slog.LevelDebug
	case "warn", "warning":
		level = slog.LevelWarn
	case "error", "fatal", "panic":
		level = slog.LevelError
	}
	file := os.Stderr
	switch config.LogFile {
	case "", "/dev/stderr":
	case "/dev/stdout":
		file = os.Stdout
	default:
		opened, err := os.OpenFile(config.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
		if err != nil {
			return err
		}
		file = opened
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(file, &slog.HandlerOptions{Level: level})))
	return nil
}

// limited restricts the log lines that an attacker's invalid requests cause to a few per second. The rest is counted.
var limited = &limiter{perSecond: 5}

type limiter struct {
	perSecond int

	mutex      sync.Mutex
	second     int64
	written    int
	suppressed int
}

func (l *limiter) report(message string, facts ...any) {
	l.mutex.Lock()
	if now := time.Now().Unix(); now != l.second {
		l.second, l.written = now, 0
	}
	if l.written >= l.perSecond {
		l.suppressed++
		l.mutex.Unlock()
		return
	}
	l.written++
	suppressed := l.suppressed
	l.suppressed = 0
	l.mutex.Unlock()
	if suppressed > 0 {
		facts = append(facts, "suppressed_before", suppressed)
	}
	slog.Warn(message, facts...)
}
