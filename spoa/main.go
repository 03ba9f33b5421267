// Command guardpanel-spoa is the WAF agent: HAProxy asks it over SPOP for a verdict on each request, and it answers
// with what Coraza and the OWASP Core Rule Set say. It reads coraza-spoa's configuration file and speaks its messages.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

const (
	exitInvalid   = 1
	exitCannotRun = 2
)

func main() {
	var (
		config   = flag.String("config", "", "configuration `file` (coraza-spoa's YAML)")
		validate = flag.Bool("validate", false, "compile every application, print one JSON document, and exit")
		control  = flag.String("control", "", "control socket, `unix:PATH`")
		events   = flag.String("events", "", "`directory` for events, one JSON line per request that fired a rule")
		version  = flag.Bool("version", false, "print the versions of the agent, Coraza and the rule set")
	)
	flag.Parse()
	switch {
	case *version:
		fmt.Println(versions())
	case *config == "":
		fmt.Fprintln(os.Stderr, "guardpanel-spoa: -config is required")
		os.Exit(exitCannotRun)
	case *validate:
		collectLess()
		os.Exit(runValidate(*config, os.Stdout, os.Stderr))
	default:
		os.Exit(run(*config, strings.TrimPrefix(*control, "unix:"), *events))
	}
}

// run serves until TERM or INT. SIGHUP reloads, as with coraza-spoa.
func run(config, control, events string) int {
	spreadOut()
	syscall.Umask(0o077) // so that sockets are private from the start
	// Handled from the start: otherwise a HUP while applications are compiled would end the process.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	collectAsUsual := collectLess()
	agent, err := newAgent(config, events)
	collectAsUsual()
	if err != nil {
		slog.Error("startup failed", "error", err)
		if errors.As(err, new(refusal)) {
			return exitInvalid
		}
		return exitCannotRun
	}
	if err := agent.listen(control); err != nil {
		slog.Error("cannot listen", "error", err)
		return exitCannotRun
	}
	slog.Info("serving", "version", version, "bind", agent.config.Load().Bind, "applications", len(agent.config.Load().Applications))
	for received := range signals {
		if received != syscall.SIGHUP {
			break
		}
		if outcome, problems := agent.reload(); len(problems) > 0 {
			slog.Error("reload rejected, keeping the running applications", "errors", problems)
		} else {
			slog.Info("reloaded", "kept", len(outcome.Kept), "added", len(outcome.Added), "removed", len(outcome.Removed))
		}
	}
	agent.drain()
	return 0
}

// collectLess makes garbage collection less frequent until the returned function is called. Most of what compiling the
// first applications allocates stays, and collecting garbage took a fifth of the CPU time.
func collectLess() (collectAsUsual func()) {
	usual := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(usual) }
}
