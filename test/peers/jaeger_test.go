package peers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestJaeger asks both what testdata/jaeger.txt says.
func TestJaeger(t *testing.T) {
	braid, jaeger := programs(t, "JAEGER")
	base := time.Now().Add(-15 * time.Minute).Truncate(time.Minute)
	// Jaeger's memory leaves out what begins at the very start of a range of
	// dependencies: the first trace is put inside.
	start, end := base.Add(-time.Minute), base.Add(11*time.Minute)
	rows := makeSpans(base.UnixNano())
	for _, p := range []program{braid, jaeger} {
		p.push(t, rows)
	}
	id := rows[0].TraceID.String()
	for _, p := range []program{braid, jaeger} {
		require.Eventually(t, func() bool {
			status, _ := p.get(t, "/api/traces/"+rows[len(rows)-1].TraceID.String(), "")
			return status == http.StatusOK
		}, time.Minute, time.Second, "%s does not find the spans", p.name)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	fill := strings.NewReplacer("{trace}", id, "{start}", number(start.UnixMicro()), "{end}", number(end.UnixMicro()), "{endms}", number(end.UnixMilli()),
		"{lookback}", number(end.Sub(start).Milliseconds()), "{from}", start.UTC().Format(time.RFC3339Nano), "{to}", end.UTC().Format(time.RFC3339Nano))
	known := differences(t, "testdata/jaeger-differences.txt")
	raw, err := os.ReadFile("testdata/jaeger.txt")
	require.NoError(t, err)
	for q := range strings.Lines(string(raw)) {
		q = strings.TrimSpace(q)
		if q == "" || strings.HasPrefix(q, "#") {
			continue
		}
		t.Run(q, func(t *testing.T) {
			path, params, _ := strings.Cut(fill.Replace(q), "?")
			v, err := url.ParseQuery(params)
			require.NoError(t, err)
			if params != "" {
				path += "?" + v.Encode()
			}
			bs, bb := braid.get(t, path, "")
			js, jb := jaeger.get(t, path, "")
			diff := difference(lines(bs, bb, jaegerLines), lines(js, jb, jaegerLines), "JAEGER")
			if diff != "" && bs != js {
				diff += fmt.Sprintf("BRAID says: %.300s\nJAEGER says: %.300s\n", bb, jb)
			}
			reason, accepted := known[q]
			switch {
			case diff != "" && !accepted:
				t.Errorf("the answers differ:\n%s", diff)
			case diff != "":
				t.Logf("accepted, %s:\n%s", reason, diff)
			case accepted:
				t.Errorf("the answers are equal: take the question out of testdata/jaeger-differences.txt")
			}
		})
	}
}

// jaegerLines writes an answer of either generation: traces a span a line,
// lists an element a line.
func jaegerLines(v map[string]any) (out []string) {
	if r := object(v["result"]); r != nil {
		return traceLines(map[string]any{"batches": r["resourceSpans"]})
	}
	withoutOwnCalls(v)
	for field, x := range v {
		if field != "data" {
			if _, ok := x.([]any); !ok {
				out = append(out, field+"="+text(x))
				continue
			}
		}
		for _, y := range list(x) {
			o := object(y)
			switch {
			case o == nil:
				out = append(out, field+": "+text(y))
			case o["processes"] != nil:
				out = append(out, legacyLines(o)...)
			default:
				withoutZeros(o)
				sortField(o, "services")
				out = append(out, field+": "+text(o))
			}
		}
	}
	slices.Sort(out)
	return out
}

// withoutOwnCalls drops a service's calls of itself, which Jaeger counts and
// Braid's service map does not; and their total, which Jaeger leaves at zero.
func withoutOwnCalls(v map[string]any) {
	calls := list(v["data"])
	if len(calls) > 0 && object(calls[0])["callCount"] != nil {
		v["data"] = slices.DeleteFunc(calls, func(x any) bool { return object(x)["parent"] == object(x)["child"] })
		delete(v, "total")
	}
}

// legacyLines writes the spans of a trace in Jaeger's own JSON, each with its
// process.
func legacyLines(trace map[string]any) []string {
	out := []string{fmt.Sprintf("trace %v warnings=%s", trace["traceID"], text(trace["warnings"]))}
	processes := object(trace["processes"])
	for _, p := range processes {
		sortField(object(p), "tags")
	}
	for _, x := range list(trace["spans"]) {
		s := object(x)
		s["process"] = processes[fmt.Sprint(s["processID"])]
		delete(s, "processID")
		sortField(s, "tags")
		for _, l := range list(s["logs"]) {
			sortField(object(l), "fields")
		}
		out = append(out, text(s))
	}
	return out
}

// withoutZeros drops what protobuf's JSON leaves out.
func withoutZeros(o map[string]any) {
	for k, v := range o {
		if v == 0.0 || v == "" {
			delete(o, k)
		}
		for _, x := range list(v) {
			if inner := object(x); inner != nil {
				withoutZeros(inner)
			}
		}
	}
}

func sortField(o map[string]any, name string) {
	slices.SortFunc(list(o[name]), func(a, b any) int { return strings.Compare(text(a), text(b)) })
}
