package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"braid/pkg/alert/notify"
	"braid/pkg/tenant"
)

// maxFile bounds a configuration file.
const maxFile = 4 << 20

// Load reads a file over the defaults; "" means the defaults alone.
func Load(path string) (*Config, error) {
	if path == "" {
		return Default(), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("cannot read configuration %s: it is larger than %d bytes", path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse reads YAML over the defaults and checks it.
func Parse(data []byte) (*Config, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	c := Default()
	if len(doc.Content) > 0 {
		root := doc.Content[0]
		if err := unknownKeys(root, reflect.TypeFor[Config](), ""); err != nil {
			return nil, err
		}
		if err := root.Decode(c); err != nil {
			return nil, err
		}
	}
	return c, c.Validate()
}

// unknownKeys walks the file beside the type and names every key that is not
// known, its line, and the nearest known one.
func unknownKeys(n *yaml.Node, t reflect.Type, path string) error {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch t.Kind() {
		case reflect.Struct:
			field, known := fieldOf(t, key.Value)
			if !known {
				errs = append(errs, fmt.Errorf("line %d: unknown key %q%s", key.Line, path+key.Value, suggest(key.Value, t)))
				continue
			}
			errs = append(errs, unknownKeys(value, field.Type, path+key.Value+"."))
		case reflect.Map:
			errs = append(errs, unknownKeys(value, t.Elem(), path+key.Value+"."))
		}
	}
	return errors.Join(errs...)
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == key {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

// suggest names the nearest known key, or all when none is near.
func suggest(key string, t reflect.Type) string {
	best, bestDistance := "", 4
	var all []string
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		all = append(all, name)
		if d := distance(key, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; known keys: " + strings.Join(all, ", ")
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Validate checks what the types cannot.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.DataDir == "" {
		bad("data_dir is empty: name a folder")
	}
	listeners := []struct {
		key string
		l   Listener
	}{{"http", c.HTTP}, {"grpc", c.GRPC}, {"otlp.http", c.OTLP.HTTP}, {"otlp.grpc", c.OTLP.GRPC}}
	seen := map[string]string{}
	for _, x := range listeners {
		_, port, err := net.SplitHostPort(x.l.Listen)
		if err != nil {
			bad("%s.listen: %q is no host:port", x.key, x.l.Listen)
			continue
		}
		if other, taken := seen[x.l.Listen]; taken && port != "0" {
			bad("%s.listen and %s.listen are both %s: give each its own port", other, x.key, x.l.Listen)
		}
		seen[x.l.Listen] = x.key
		if (x.l.TLS.CertFile == "") != (x.l.TLS.KeyFile == "") {
			bad("%s.tls: cert_file and key_file go together", x.key)
		}
		if x.l.TLS.ClientCAFile != "" && x.l.TLS.CertFile == "" {
			bad("%s.tls.client_ca_file needs cert_file and key_file", x.key)
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad("log.level %q: use debug, info, warn or error", c.Log.Level)
	}
	if !slices.Contains([]string{"json", "text", "auto"}, c.Log.Format) {
		bad("log.format %q: use json, text or auto", c.Log.Format)
	}
	if !slices.Contains([]string{"UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoUTF8EscapingWithSuffixes", "NoTranslation"}, c.Metrics.Names) {
		bad("metrics.names %q: see docs/configuration.md for the four strategies", c.Metrics.Names)
	}
	for key, d := range map[string]Duration{"metrics.retention": c.Metrics.Retention, "logs.retention": c.Logs.Retention, "traces.retention": c.Traces.Retention,
		"query.timeout": c.Query.Timeout, "query.lookback": c.Query.Lookback, "alerting.evaluation_interval": c.Alerting.Interval, "self.interval": c.Self.Interval} {
		if d <= 0 {
			bad("%s must be more than 0", key)
		}
	}
	if c.OTLP.MaxBody < 1<<10 {
		bad("otlp.max_body %s is too small: at least 1KiB", c.OTLP.MaxBody)
	}
	negative := func(path string, l Limits) {
		for f, v := range reflect.ValueOf(l).Fields() {
			if v.Int() < 0 {
				bad("%s.%s must not be less than 0", path, f.Tag.Get("yaml"))
			}
		}
	}
	negative("limits", c.Limits)
	for name, l := range c.Tenants {
		if _, err := tenant.Parse(name); err != nil {
			bad("tenants: %v", err)
		}
		negative("tenants."+name, l)
	}
	for key, name := range map[string]string{"self.tenant": c.Self.Tenant, "self.trace_tenant": c.Self.TraceTenant} {
		if _, err := tenant.Parse(name); err != nil {
			bad("%s: %v", key, err)
		}
	}
	if _, err := notify.ParseAllow(c.Alerting.Receivers.Allow); err != nil {
		bad("alerting.receivers.allow: %v", err)
	}
	if g := c.Alerting.Peers; g.Listen == "" && len(g.Peers) > 0 {
		bad("alerting.cluster.peers needs alerting.cluster.listen: the address of this alerter's own gossip")
	}
	for key, a := range map[string]string{"listen": c.Alerting.Peers.Listen, "advertise": c.Alerting.Peers.Advertise} {
		if _, _, err := net.SplitHostPort(a); a != "" && err != nil {
			bad("alerting.cluster.%s: %q is no host:port", key, a)
		}
	}
	if c.Alerting.Peers.Timeout <= 0 {
		bad("alerting.cluster.peer_timeout must be more than 0")
	}
	for kind := range c.Correlation.Kinds {
		if kind == "" || strings.ContainsAny(kind, "/ \t\n") {
			bad("correlation.kinds: %q is no name for a kind", kind)
		}
	}
	for _, u := range append([]string{c.ExternalURL, c.Cluster.Write, c.Cluster.Alerter}, c.Alerting.AlertmanagerURLs...) {
		if u == "" {
			continue
		}
		if p, err := url.Parse(u); err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Host == "" {
			bad("%q is no http(s) address", u)
		}
	}
	return errors.Join(errs...)
}
