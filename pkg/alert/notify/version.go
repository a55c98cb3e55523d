package notify

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// version is that of the Alertmanager inside: amtool and Karma ask for it.
var version = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/prometheus/alertmanager" {
				return strings.TrimPrefix(d.Version, "v")
			}
		}
	}
	return "0.0.0"
})

// BuildInfo is the metric by which Karma tells Alertmanagers apart.
func BuildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "alertmanager_build_info", Help: "Always 1; the version of the Alertmanager inside.",
		ConstLabels: prometheus.Labels{"version": version(), "revision": "", "branch": "", "tags": "", "goversion": runtime.Version(), "goos": runtime.GOOS, "goarch": runtime.GOARCH}})
	g.Set(1)
	return g
}

// versioned fills the version into Alertmanager's own answer: a library has none.
func versioned(info json.RawMessage) json.RawMessage {
	m := map[string]string{}
	if json.Unmarshal(info, &m) != nil {
		return info
	}
	m["version"] = version()
	if m["goVersion"] == "" {
		m["goVersion"] = runtime.Version()
	}
	b, err := json.Marshal(m)
	if err != nil {
		return info
	}
	return b
}
