package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// Config is coraza-spoa's configuration file. Unknown keys are errors, so that one file serves both agents.
type Config struct {
	Bind               string              `yaml:"bind"`
	DefaultApplication string              `yaml:"default_application"`
	LogLevel           string              `yaml:"log_level"`
	LogFile            string              `yaml:"log_file"`
	LogFormat          string              `yaml:"log_format"`
	Applications       []ApplicationConfig `yaml:"applications"`

	// Checksum is the SHA-256 (hex) of the file.
	Checksum string `yaml:"-"`
}

// ApplicationConfig is a named rule set. The log keys are accepted for compatibility with coraza-spoa and ignored.
type ApplicationConfig struct {
	Name             string `yaml:"name" json:"name"`
	Directives       string `yaml:"directives" json:"directives"`
	ResponseCheck    bool   `yaml:"response_check" json:"response_check"`
	TransactionTTLMS int    `yaml:"transaction_ttl_ms" json:"transaction_ttl_ms"`
	LogLevel         string `yaml:"log_level" json:"log_level"`
	LogFile          string `yaml:"log_file" json:"log_file"`
	LogFormat        string `yaml:"log_format" json:"log_format"`
}

// same reports whether two configurations yield the same application.
func (a ApplicationConfig) same(b ApplicationConfig) bool {
	return a.Name == b.Name && a.Directives == b.Directives && a.ResponseCheck == b.ResponseCheck &&
		a.TransactionTTLMS == b.TransactionTTLMS
}

func readConfig(path string) (*Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	config := &Config{}
	if err := decoder.Decode(config); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(content)
	config.Checksum = hex.EncodeToString(sum[:])
	return config, config.check()
}

// check rejects what coraza-spoa would accept but handle incorrectly: missing or duplicate names.
func (c *Config) check() error {
	seen := map[string]bool{}
	for at, application := range c.Applications {
		if application.Name == "" {
			return fmt.Errorf("application %d has no name", at+1)
		}
		if seen[application.Name] {
			return fmt.Errorf("duplicate application %s", application.Name)
		}
		seen[application.Name] = true
		if application.ResponseCheck && application.TransactionTTLMS <= 0 {
			return fmt.Errorf("application %s: response_check requires transaction_ttl_ms", application.Name)
		}
	}
	if c.DefaultApplication != "" && !seen[c.DefaultApplication] {
		return fmt.Errorf("default_application %s is not one of the applications", c.DefaultApplication)
	}
	_, _, err := c.address()
	return err
}

// address is where HAProxy connects: `unix:///path`, `unix:/path`, or `host:port`.
func (c *Config) address() (network, address string, err error) {
	if path, found := strings.CutPrefix(c.Bind, "unix:"); found {
		parsed, err := url.Parse("unix:" + path)
		if err != nil || parsed.Path == "" {
			return "", "", fmt.Errorf("bind %q: missing socket path", c.Bind)
		}
		return "unix", parsed.Path, nil
	}
	if _, _, err := net.SplitHostPort(c.Bind); err != nil {
		return "", "", errors.New("bind must be unix:///path or host:port")
	}
	return "tcp", c.Bind, nil
}
