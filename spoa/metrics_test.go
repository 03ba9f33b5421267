package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// deployed are the files that operators give to Prometheus and Grafana.
var deployed = map[string]func([]byte, any) error{
	"../deploy/grafana/agent.json": json.Unmarshal, "../deploy/prometheus/alerts.yaml": yaml.Unmarshal,
}

var (
	metricName = regexp.MustCompile(`\b(guardpanel_spoa|process|go)_[a-z_]+[a-z]`)
	labelValue = regexp.MustCompile(`\b(cause|verdict|result)=~?\\?"([a-z_|]+)\\?"`)
)

func TestDashboardsAndAlertsNameMetricsThatExist(t *testing.T) {
	agent := startIn(t, apps(map[string]string{"small": small}), t.TempDir())
	c := dial(t, agent.socket)
	c.ask(request{app: "small", query: "a=attack"})
	c.ask(request{app: "nobody"})
	agent.call(t, "POST", "/v1/reload")
	agent.write(t, apps(map[string]string{"small": "SecNonsense"}))
	agent.call(t, "POST", "/v1/reload")
	_, metrics := agent.call(t, "GET", "/metrics")

	for path, parse := range deployed {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := parse(content, new(any)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		names := metricName.FindAllString(string(content), -1)
		if len(names) < 5 {
			t.Errorf("%s names only %v", path, names)
		}
		for _, name := range names {
			if !strings.Contains(metrics, "\n"+name+" ") && !strings.Contains(metrics, "\n"+name+"{") {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
		for _, found := range labelValue.FindAllStringSubmatch(string(content), -1) {
			for value := range strings.SplitSeq(found[2], "|") {
				if !strings.Contains(metrics, found[1]+`="`+value+`"`) {
					t.Errorf("%s asks for %s=%q, which does not exist", path, found[1], value)
				}
			}
		}
	}
}
