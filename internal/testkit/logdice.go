package testkit

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"braid/pkg/model"
)

// LogDice makes random log records and LogQL queries out of few words, so that
// they meet.
type LogDice struct{ *rand.Rand }

func (d LogDice) of(words ...string) string { return words[d.IntN(len(words))] }

func (d LogDice) value() string {
	return d.of("a", "b", "ab", "1", "20", "3.5", "n/a", "", "10ms", "2s", "5KB", "10.0.0.7", "x y")
}

func (d LogDice) name() string {
	return d.of("service_name", "app", "k8s_pod", "k8s.pod", "status", "user", "took", "level", "detected_level", "trace_id", "scope_name", "severity_number", "list", "missing")
}

// Row makes a record; two of them share a second.
func (d LogDice) Row(i int) model.LogRow {
	attr := func(keys ...string) (out model.Attrs) {
		for _, k := range keys {
			switch d.IntN(6) {
			case 0, 1, 2:
				out = append(out, model.Attr{Key: k, Value: model.String(d.value())})
			case 3:
				out = append(out, model.Attr{Key: k, Value: model.Int(int64(d.IntN(30)))})
			}
		}
		return out
	}
	row := model.LogRow{
		Resource: &model.Resource{Attrs: attr("service.name", "app", "k8s.pod")},
		Scope:    &model.Scope{Name: d.of("", "lib"), Attrs: attr("user")},
		LogRecord: model.LogRecord{
			Time: int64(i/2) * int64(time.Second), Severity: model.SeverityNumber(d.IntN(25)),
			Attrs: attr("status", "user", "took", "k8s_pod", "level", "severity_number"), Body: model.String(d.body()),
		},
	}
	if d.IntN(4) == 0 {
		row.Attrs = append(row.Attrs, model.Attr{Key: "list", Value: model.ArrayJSON(`["a","b"]`)})
	}
	if d.IntN(3) == 0 {
		row.TraceID, _ = model.ParseTraceID(d.of("1", "2"))
	}
	return row
}

func (d LogDice) body() string {
	switch d.IntN(4) {
	case 0:
		return fmt.Sprintf(`{"status":%q,"user":%q,"app":"%s","deep":{"n":%d}}`, d.value(), d.value(), d.of("a", `\u0061`), d.IntN(30))
	case 1:
		return fmt.Sprintf("status=%s user=%q missing=%s", d.of("a", "1", "20"), d.value(), d.of("1", "x"))
	case 2:
		return d.of("a b", "ab", "b 10.0.0.7", "\x1b[31mab\x1b[0m", "")
	}
	return d.value() + " " + d.value()
}

func (d LogDice) matcher() string {
	op := d.of("=", "!=", "=~", "!~")
	v := d.value()
	if strings.HasSuffix(op, "~") {
		v = d.of(".*", ".+", "a|b", "a.*", "", "[0-9]+", ".*error.*")
	}
	return d.name() + op + fmt.Sprintf("%q", v)
}

func (d LogDice) cond(depth int) string {
	if depth > 0 && d.IntN(3) == 0 {
		return "(" + d.cond(depth-1) + d.of(" and ", " or ", ", ") + d.cond(depth-1) + ")"
	}
	switch d.IntN(6) {
	case 0:
		return d.name() + d.of(">", ">=", "<", "<=", "==", "!=") + d.of("1", "20", "-3", "3.5")
	case 1:
		return d.name() + d.of(">", "<") + d.of("15ms", "1s", "6KB", "1MiB")
	case 2:
		return d.name() + d.of("=", "!=") + `ip("10.0.0.0/8")`
	case 3:
		return `__error__` + d.of("=", "!=") + `""`
	}
	return d.matcher()
}

func (d LogDice) stage() string {
	switch d.IntN(14) {
	case 0, 1:
		return d.of("|=", "!=") + " " + d.of(`"a"`, `"b" or "20"`, `ip("10.0.0.0/8")`, `""`)
	case 2:
		return d.of("|~", "!~") + " " + d.of(`"a|b"`, `"^a"`, `"(?i)AB"`, `".*a.*"`, `"[0-9]{2}"`)
	case 3:
		return d.of("|>", "!>") + " " + d.of(`"<_>a<_>"`, `"a<_>"`, `"<_> <_>"`, `"ab"`, `""`)
	case 4, 5, 6, 7:
		return "| " + d.cond(2)
	case 8:
		return "| " + d.of("json", "logfmt", `json status`, `json n="deep.n", u="user"`, `logfmt status, u="user"`, "unpack")
	case 9:
		return "| " + d.of(`regexp "(?P<user>[ab]+)"`, `pattern "<user> <rest>"`)
	case 10:
		return "| " + d.of(`line_format "{{.status}} {{.user}}"`, "decolorize", `line_format "{{ upper __line__ }}"`)
	case 11:
		return "| label_format " + d.of("user=status", `app="{{.user}}x"`, `status=app,new="{{.app}}"`)
	case 12:
		return "| " + d.of("drop", "keep") + " " + d.of("user", "status, app", `user="a"`, "service_name", "__error__")
	}
	if d.IntN(3) > 0 {
		return "|= \"a\""
	}
	return "| distinct " + d.of("user", "status, app")
}

// Selection makes a log query.
func (d LogDice) Selection() string {
	var ms []string
	for range d.IntN(3) {
		ms = append(ms, d.matcher())
	}
	s := "{" + strings.Join(ms, ", ") + "}"
	for range d.IntN(4) {
		s += " " + d.stage()
	}
	return s
}

func (d LogDice) names() string { return d.of("", d.name(), d.name()+", "+d.name()) }

// Metric makes a metric query.
func (d LogDice) Metric() string {
	rng := d.of("[3s]", "[10s]", "[7s]", "[10s] offset 2s")
	var in string
	if d.IntN(8) == 0 { // as Logs Drilldown asks
		f := d.of("user", "status", "app", "deep_n", "took")
		return "sum by (" + d.of(f, f+", detected_level") + ") (" + d.of("count_over_time", "rate") + "(" + d.Selection() + d.of(" | json", " | json | logfmt", " | logfmt") +
			" | drop __error__, __error_details__ | " + f + d.of(`!=""`, `=~"a|1|20"`, `="a"`) + " " + rng + "))"
	}
	switch d.IntN(4) {
	case 0:
		unwrap := " | unwrap " + d.of("status", "deep_n", "duration(took)", "bytes(took)", "status")
		if d.IntN(3) > 0 {
			unwrap += ` | __error__=""`
		}
		op := d.of("sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "first_over_time", "last_over_time", "stddev_over_time", "stdvar_over_time", "rate", "rate_counter")
		in = op + "(" + d.Selection() + unwrap + " " + rng + ")"
		if d.IntN(2) == 0 {
			in += " " + d.of("by", "without") + " (" + d.names() + ")"
		}
	default:
		in = d.of("count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time") + "(" + d.Selection() + " " + rng + ")"
	}
	switch d.IntN(4) {
	case 0:
		return in
	case 1:
		return d.of("sum", "min", "max", "avg", "count") + "(" + in + ")"
	}
	return d.of("sum", "min", "max", "avg", "count", "stddev") + " " + d.of("by", "by", "without") + " (" + d.names() + ") (" + in + ")"
}
