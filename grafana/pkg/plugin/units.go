package plugin

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// described is what is known of a metric.
type described struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// metadataCache keeps what was asked of metrics for a while: dashboards ask the
// same again with every refresh. Its zero value is empty.
type metadataCache struct {
	mu    sync.Mutex
	known map[string]cached
}

type cached struct {
	described
	found bool
	until time.Time
}

const (
	metadataTTL = 5 * time.Minute
	maxMetadata = 4096
)

func (c *metadataCache) get(name string, now time.Time) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.known[name]
	return one, ok && now.Before(one.until)
}

func (c *metadataCache) put(name string, one cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxMetadata {
		c.known = map[string]cached{}
	}
	c.known[name] = one
}

// parts of a classic histogram or a summary have the metadata of the whole.
var partOf = regexp.MustCompile(`_(bucket|count|sum)$`)

// describedMetric answers what is known of a metric. That nothing could be asked
// is no error: units are an extra.
func (d *Datasource) describedMetric(ctx context.Context, name string) (described, bool) {
	now := time.Now()
	if one, ok := d.metadata.get(name, now); ok {
		return one.described, one.found
	}
	one := cached{until: now.Add(metadataTTL)}
	for _, ask := range []string{name, partOf.ReplaceAllString(name, "")} {
		var answer struct {
			Data map[string][]described `json:"data"`
		}
		if err := d.client.get(ctx, "/api/v1/metadata", url.Values{"metric": {ask}}, &answer); err != nil {
			return described{}, false
		}
		if list := answer.Data[ask]; len(list) > 0 {
			one.described, one.found = list[0], true
			break
		}
	}
	d.metadata.put(name, one)
	return one.described, one.found
}

var (
	noise     = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`[^`]*`|\\{[^{}]*\\}|\\[[^\\[\\]]*\\]|#[^\\n]*")
	grouping  = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)`)
	word      = regexp.MustCompile(`[A-Za-z_:][\w:]*\s*\(?`)
	keyword   = regexp.MustCompile(`^(and|or|unless|bool|offset|inf|nan)$`)
	unitless  = regexp.MustCompile(`(?i)\b(count|absent|absent_over_time|count_over_time|changes|resets|histogram_count|group|timestamp|ln|log2|log10|sqrt|stdvar)\b\s*(by|without)?\s*\(`)
	quantile  = regexp.MustCompile(`\b(histogram_quantile|histogram_avg)\s*\(`)
	perSecond = regexp.MustCompile(`\b(rate|irate|deriv)\s*\(`)
)

// metricOf is the one metric that an expression is about; with several, or an
// operator between them, there is none.
func metricOf(expr string) (name, bare string) {
	bare = noise.ReplaceAllStringFunc(expr, func(m string) string {
		if m[0] == '{' || m[0] == '[' || m[0] == '#' {
			return " "
		}
		return `""`
	})
	// Braces hold strings, which may hold braces: what was inside went first.
	bare = grouping.ReplaceAllString(noise.ReplaceAllString(bare, " "), " ")
	for _, w := range word.FindAllString(bare, -1) {
		if strings.HasSuffix(w, "(") || keyword.MatchString(strings.ToLower(strings.TrimSpace(w))) {
			continue
		}
		w = strings.TrimSpace(w)
		if name != "" && name != w {
			return "", bare
		}
		name = w
	}
	return name, bare
}

// hint finds unit and description of what a PromQL expression answers.
func (d *Datasource) hint(ctx context.Context, expr string) fieldHint {
	name, bare := metricOf(expr)
	if name == "" {
		return fieldHint{}
	}
	about, ok := d.describedMetric(ctx, name)
	if !ok {
		return fieldHint{}
	}
	return fieldHint{unit: unitOf(name, bare, about), description: about.Help, bound: grafanaUnit(about.Unit, name)}
}

// unitOf is Grafana's name for the unit of an expression over one metric; empty
// when the expression changes it in ways that are not followed.
func unitOf(name, bare string, about described) string {
	if strings.ContainsAny(bare, "*/^<>=") || unitless.MatchString(bare) {
		return ""
	}
	unit := grafanaUnit(about.Unit, name)
	switch {
	case quantile.MatchString(bare):
		return unit
	case strings.HasSuffix(name, "_bucket") || strings.HasSuffix(name, "_count"):
		unit = ""
	}
	if !perSecond.MatchString(bare) {
		return unit
	}
	switch {
	case unit == "bytes":
		return "binBps"
	case unit == "s" || unit == "ms" || unit == "ns":
		return ""
	}
	return "cps"
}

// grafanaUnit translates UCUM codes and OpenMetrics's words; without either the
// suffix of the name tells, as the conventions of names ask for.
func grafanaUnit(unit, name string) string {
	if known, ok := units[unit]; ok {
		return known
	}
	name = strings.TrimSuffix(partOf.ReplaceAllString(name, ""), "_total")
	if i := strings.LastIndexByte(name, '_'); i >= 0 {
		return units[name[i+1:]]
	}
	return ""
}

var units = map[string]string{
	"s": "s", "seconds": "s", "ms": "ms", "milliseconds": "ms", "us": "µs", "microseconds": "µs", "ns": "ns", "nanoseconds": "ns",
	"min": "m", "minutes": "m", "h": "h", "hours": "h", "d": "d", "days": "d",
	"By": "bytes", "bytes": "bytes", "KiBy": "kbytes", "MiBy": "mbytes", "GiBy": "gbytes", "By/s": "binBps",
	"%": "percent", "percent": "percent", "ratio": "percentunit", "Cel": "celsius", "celsius": "celsius", "V": "volt", "volts": "volt",
	"A": "amp", "amperes": "amp", "J": "joule", "joules": "joule", "W": "watt", "watts": "watt", "Hz": "hertz", "hertz": "hertz", "m": "lengthm", "meters": "lengthm",
}
