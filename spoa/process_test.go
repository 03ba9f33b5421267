package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets a test run the agent as a process of its own: this binary again, as guardpanel-spoa.
func TestMain(m *testing.M) {
	if os.Getenv("GUARDPANEL_SPOA_PROCESS") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process starts the agent with these arguments.
func process(t *testing.T, arguments ...string) (*exec.Cmd, *watched) {
	t.Helper()
	said := &watched{lines: make(chan string, 1000)}
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append(os.Environ(), "GUARDPANEL_SPOA_PROCESS=1")
	command.Stderr = said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	return command, said
}

// watched gives a process's log line by line.
type watched struct {
	rest  []byte
	lines chan string
}

func (w *watched) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		w.lines <- string(line)
		w.rest = rest
	}
}

func (w *watched) until(words string) {
	for line := range w.lines {
		if strings.Contains(line, words) {
			return
		}
	}
}

// written is a configuration file and sockets that no agent uses yet.
func written(t *testing.T, applications []ApplicationConfig) *started {
	t.Helper()
	s := &started{dir: t.TempDir()}
	s.file, s.socket, s.control = s.dir+"/y", s.dir+"/a", s.dir+"/c"
	s.write(t, applications)
	return s
}

func TestTheProcessReloadsOnHUPAndDrainsOnTERM(t *testing.T) {
	s := written(t, apps(map[string]string{"small": small}))
	s.level = "info"
	s.write(t, apps(map[string]string{"small": small}))
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	agent, log := process(t, "-config", s.file, "-control", "unix:"+s.control)
	log.until("serving")
	c := dial(t, s.socket)
	expect(t, c.ask(request{app: "small", query: "a=attack"}), map[string]any{"action": "deny"})

	s.write(t, apps(map[string]string{"other": small}))
	_ = agent.Process.Signal(syscall.SIGHUP)
	log.until("reloaded")
	expect(t, c.ask(request{app: "other", query: "a=attack"}), map[string]any{"action": "deny"})
	s.write(t, apps(map[string]string{"bad": "SecNonsense On\n"}))
	_ = agent.Process.Signal(syscall.SIGHUP)
	log.until("reload rejected")
	expect(t, c.ask(request{app: "other", query: "a=attack"}), map[string]any{"action": "deny"})
	_ = agent.Process.Signal(syscall.SIGTERM)
	if kind, _ := c.receive(); kind != frameAgentDisconnect {
		t.Errorf("at the end came frame %d", kind)
	}

	if err := agent.Wait(); err != nil {
		t.Error(err)
	}
	for _, path := range []string{s.socket, s.control} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

func TestTheExitCodeTellsInvalidFromCannotRun(t *testing.T) {
	valid := written(t, apps(map[string]string{"small": small}))
	invalid := written(t, apps(map[string]string{"bad": "SecNonsense On\n"}))
	for name, one := range map[string]struct {
		arguments []string
		code      int
	}{
		"valid":             {[]string{"-config", valid.file, "-validate"}, 0},
		"invalid":           {[]string{"-config", invalid.file, "-validate"}, 1},
		"no such file":      {[]string{"-config", "/nowhere", "-validate"}, 2},
		"no file":           {nil, 2},
		"starting invalid":  {[]string{"-config", invalid.file}, 1},
		"starting nowhere":  {[]string{"-config", "/nowhere"}, 2},
		"asked its version": {[]string{"-version"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(os.Args[0], one.arguments...)
			command.Env = append(os.Environ(), "GUARDPANEL_SPOA_PROCESS=1")
			out, _ := command.Output()
			if command.ProcessState.ExitCode() != one.code {
				t.Errorf("exit code %d", command.ProcessState.ExitCode())
			}
			if len(one.arguments) == 3 && one.code < 2 && !json.Valid(out) {
				t.Errorf("printed %s", out)
			}
		})
	}
}
