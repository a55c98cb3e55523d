package logql_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

var (
	seed   = flag.Uint64("seed", 1, "of the random queries")
	rounds = flag.Int("rounds", 4000, "random queries tried")
)

// dice makes random data and queries out of few words, so that they meet.
type dice struct{ *rand.Rand }

func (d dice) of(words ...string) string { return words[d.IntN(len(words))] }

func (d dice) value() string {
	return d.of("a", "b", "ab", "1", "20", "3.5", "n/a", "", "10ms", "2s", "5KB", "10.0.0.7", "x y")
}

func (d dice) name() string {
	return d.of("service_name", "app", "k8s_pod", "k8s.pod", "status", "user", "took", "level", "detected_level", "trace_id", "scope_name", "list", "missing")
}

func (d dice) row(i int) model.LogRow {
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
			Attrs: attr("status", "user", "took", "k8s_pod", "level"), Body: model.String(d.body()),
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

func (d dice) body() string {
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

func (d dice) matcher() string {
	op := d.of("=", "!=", "=~", "!~")
	v := d.value()
	if strings.HasSuffix(op, "~") {
		v = d.of(".*", ".+", "a|b", "a.*", "", "[0-9]+", ".*error.*")
	}
	return d.name() + op + fmt.Sprintf("%q", v)
}

func (d dice) cond(depth int) string {
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

func (d dice) stage() string {
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

func (d dice) selection() string {
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

func (d dice) names() string { return d.of("", d.name(), d.name()+", "+d.name()) }

func (d dice) metric() string {
	rng := d.of("[3s]", "[10s]", "[7s]", "[10s] offset 2s")
	var in string
	switch d.IntN(4) {
	case 0:
		unwrap := " | unwrap " + d.of("status", "deep_n", "duration(took)", "bytes(took)", "status")
		if d.IntN(3) > 0 {
			unwrap += ` | __error__=""`
		}
		op := d.of("sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "first_over_time", "last_over_time", "stddev_over_time", "stdvar_over_time", "rate", "rate_counter")
		in = op + "(" + d.selection() + unwrap + " " + rng + ")"
		if d.IntN(2) == 0 {
			in += " " + d.of("by", "without") + " (" + d.names() + ")"
		}
	default:
		in = d.of("count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time") + "(" + d.selection() + " " + rng + ")"
	}
	switch d.IntN(4) {
	case 0:
		return in
	case 1:
		return d.of("sum", "min", "max", "avg", "count") + "(" + in + ")"
	}
	return d.of("sum", "min", "max", "avg", "count", "stddev") + " " + d.of("by", "by", "without") + " (" + d.names() + ") (" + in + ")"
}

// TestPushDownAgreesWithFullScan tries random queries with and without handing
// work to the source, whose way of answering is predicate.Eval.
func TestPushDownAgreesWithFullScan(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(*seed, 2))}
	mem := &testkit.MemLog{}
	for i := range 120 {
		mem.Append(tenant.Default, d.row(i))
	}
	limits := logql.Limits{MaxSeries: 10_000}
	pushed := logql.NewEngine(logql.Options{Source: mem, Limits: limits})
	full := logql.NewEngine(logql.Options{Source: mem, Limits: limits, FullScan: true})
	answers, errs := 0, 0
	for range *rounds {
		p := logql.Params{Start: time.Unix(2, 0), End: time.Unix(40, 0), Step: time.Duration(1+d.IntN(9)) * time.Second, Limit: 1 + d.IntN(40)}
		if d.IntN(2) == 0 {
			p.Expr = d.selection()
			p.Direction = logql.Direction(d.IntN(2))
		} else {
			p.Expr = d.metric()
			p.Instant = d.IntN(3) == 0
		}
		got, err := pushed.Query(context.Background(), tenant.Default, p)
		want, err2 := full.Query(context.Background(), tenant.Default, p)
		require.Equal(t, err2 == nil, err == nil, "seed %d: %s: %v against %v", *seed, p.Expr, err, err2)
		if err != nil {
			errs++
			continue
		}
		if len(want.Streams)+len(want.Series) > 0 {
			answers++
		}
		require.Equal(t, want.Streams, got.Streams, "seed %d: %s", *seed, p.Expr)
		requireSeries(t, want.Series, got.Series, p.Expr)
	}
	require.Greater(t, answers, *rounds/4, "most random queries find nothing")
	t.Logf("%d queries found something, %d failed", answers, errs)
}

func requireSeries(t *testing.T, want, got []logql.Series, text string) {
	require.Len(t, got, len(want), text)
	for i := range want {
		require.Equal(t, want[i].Labels, got[i].Labels, text)
		require.Len(t, got[i].Points, len(want[i].Points), text)
		for k, w := range want[i].Points {
			g := got[i].Points[k]
			require.Equal(t, w.Time, g.Time, text)
			if w.Value != g.Value && !(math.IsNaN(w.Value) && math.IsNaN(g.Value)) {
				require.InEpsilon(t, w.Value, g.Value, 1e-9, "%s %s", text, want[i].Labels)
			}
		}
	}
}
