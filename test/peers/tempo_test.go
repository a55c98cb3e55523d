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

	"braid/pkg/model"
)

// fixture is the time of the spans and what is asked of it.
type fixture struct {
	base, start, end int64 // Unix ns
	step             time.Duration
	// ownRoot are the traces with several roots, or spans of no service: each
	// program tells in its own way which root is the trace's and what it is called.
	ownRoot map[string]bool
}

func ownRoots(rows []model.SpanRow) map[string]bool {
	out, roots := map[string]bool{}, map[string]int{}
	for i := range rows {
		id := rows[i].TraceID.String()
		if rows[i].ParentID.IsZero() {
			roots[id]++
		}
		out[id] = out[id] || roots[id] > 1 || rows[i].Resource.Attrs.Text("service.name") == ""
	}
	return out
}

// TestTempo asks both what testdata/traceql.txt says.
func TestTempo(t *testing.T) {
	braid, tempo := programs(t, "TEMPO")
	// The range is of whole minutes, so that steps begin at the same time in
	// both; no span begins where a step does, which belongs to the step that
	// ends there in Tempo and to the one that begins there in Braid.
	start := time.Now().Add(-16 * time.Minute).Truncate(time.Minute).UnixNano()
	base := start + 60e9 + 250e6
	rows := makeSpans(base)
	for _, p := range []program{braid, tempo} {
		p.push(t, rows)
	}
	f := fixture{base: base, start: start, end: start + 720e9, step: time.Minute, ownRoot: ownRoots(rows)}
	known := differences(t, "testdata/differences.txt")
	for _, p := range []program{braid, tempo} {
		require.Eventually(t, func() bool {
			_, body := p.get(t, f.path("instant", "{ } | count_over_time()"), "")
			return strings.Contains(string(body), fmt.Sprintf(`"value":%d`, len(rows)))
		}, 2*time.Minute, time.Second, "%s does not find all %d spans", p.name, len(rows))
	}
	t.Run("traces", func(t *testing.T) { compareTraces(t, braid, tempo, rows, known) })
	raw, err := os.ReadFile("testdata/traceql.txt")
	require.NoError(t, err)
	for q := range strings.Lines(string(raw)) {
		q = strings.TrimSpace(q)
		if q == "" || strings.HasPrefix(q, "#") {
			continue
		}
		t.Run(q, func(t *testing.T) {
			kind, rest, _ := strings.Cut(q, " ")
			diff := f.compare(t, braid, tempo, kind, rest)
			reason, accepted := known[q]
			switch {
			case diff != "" && !accepted:
				t.Errorf("the answers differ:\n%s", diff)
			case diff != "":
				t.Logf("accepted, %s:\n%s", reason, diff)
			case accepted:
				t.Errorf("the answers are equal: take the question out of testdata/differences.txt")
			}
		})
	}
}

func (f fixture) compare(t *testing.T, braid, tempo program, kind, q string) string {
	t.Helper()
	path := f.path(kind, q)
	read := map[string]func(map[string]any) []string{"search": f.search, "range": f.series, "instant": f.instant,
		"tags": tagScopes, "tags1": tagNames, "values": tagValues, "values1": tagNames}[kind]
	require.NotNil(t, read, "there is no question %q", kind)
	bs, bb := braid.get(t, path, "")
	ts, tb := tempo.get(t, path, "")
	diff := difference(lines(bs, bb, read), lines(ts, tb, read), "TEMPO")
	for _, x := range []struct {
		name   string
		status int
		body   []byte
	}{{"BRAID", bs, bb}, {"TEMPO", ts, tb}} {
		if diff != "" && x.status != http.StatusOK {
			diff += fmt.Sprintf("%s says: %.300s\n", x.name, x.body)
		}
	}
	return diff
}

// path is the request for a question.
func (f fixture) path(kind, q string) string {
	v := url.Values{"start": {strconv.FormatInt(f.start/1e9, 10)}, "end": {strconv.FormatInt(f.end/1e9, 10)}}
	switch kind {
	case "search":
		v.Set("q", q)
		v.Set("limit", "1000")
		v.Set("spss", "100")
		return "/api/search?" + v.Encode()
	case "range":
		v.Set("q", q)
		v.Set("step", f.step.String())
		return "/api/metrics/query_range?" + v.Encode()
	case "instant":
		v.Set("q", q)
		return "/api/metrics/query?" + v.Encode()
	}
	name, filter, _ := strings.Cut(q, " ")
	if strings.Contains(name, `"`) { // the name has a space
		end := strings.LastIndex(q, `"`) + 1
		name, filter = q[:end], strings.TrimSpace(q[end:])
	}
	if filter != "" {
		v.Set("q", filter)
	}
	if name != "" && name != "-" && strings.HasPrefix(kind, "tags") {
		v.Set("scope", name)
	}
	switch kind {
	case "tags":
		return "/api/v2/search/tags?" + v.Encode()
	case "tags1":
		return "/api/search/tags?" + v.Encode()
	case "values1":
		return "/api/search/tag/" + url.PathEscape(name) + "/values?" + v.Encode()
	}
	return "/api/v2/search/tag/" + url.PathEscape(name) + "/values?" + v.Encode()
}

// search writes the traces found, each with its sets of spans; both may order
// traces as they like.
func (f fixture) search(v map[string]any) (out []string) {
	for _, x := range list(v["traces"]) {
		tr := object(x)
		var b strings.Builder
		id := fmt.Sprint(tr["traceID"]) // Tempo's search leaves out leading zeros
		id = strings.Repeat("0", max(0, 32-len(id))) + id
		root := fmt.Sprintf("%v/%v", said(tr["rootServiceName"]), said(tr["rootTraceName"]))
		if f.ownRoot[id] {
			root = "its own"
		}
		services := strings.ReplaceAll(text(tr["serviceStats"]), "unknown_service", "") // so Braid calls the spans of none
		fmt.Fprintf(&b, "trace %s root=%s start=%s duration=%v services=%s", id, root, f.since(tr["startTimeUnixNano"]), tr["durationMs"], services)
		var sets []string
		for _, y := range list(tr["spanSets"]) {
			sets = append(sets, f.spanSet(object(y)))
		}
		slices.Sort(sets)
		out = append(out, b.String()+strings.Join(sets, ""))
	}
	slices.Sort(out)
	return out
}

// spanSet writes the spans of a set but for their names, which Tempo tells only
// where the question reads them.
func (f fixture) spanSet(set map[string]any) string {
	var spans []string
	for _, z := range list(set["spans"]) {
		s := object(z)
		duration := s["durationNanos"]
		if duration == nil { // 0
			duration = "0"
		}
		spans = append(spans, fmt.Sprintf("%v %s %v {%s}", s["spanID"], f.since(s["startTimeUnixNano"]), duration, attributes(s["attributes"])))
	}
	slices.Sort(spans)
	return fmt.Sprintf("\n  matched=%v {%s}\n    %s", set["matched"], attributes(set["attributes"]), strings.Join(spans, "\n    "))
}

func (f fixture) since(v any) string {
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil {
		return fmt.Sprint(v)
	}
	return strconv.FormatInt(n-f.base, 10)
}

// series writes a line for each series.
func (f fixture) series(v map[string]any) (out []string) {
	for _, x := range list(v["series"]) {
		s := object(x)
		var b strings.Builder
		fmt.Fprintf(&b, "{%s}", attributes(s["labels"]))
		for _, y := range list(s["samples"]) {
			ms, _ := strconv.ParseInt(fmt.Sprint(object(y)["timestampMs"]), 10, 64)
			if at := (ms - f.start/1e6) / 1000; at > 0 { // Tempo has a sample for the instant of the start as well
				fmt.Fprintf(&b, " %ds:%s", at, rounded(object(y)["value"]))
			}
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}

func (f fixture) instant(v map[string]any) (out []string) {
	for _, x := range list(v["series"]) {
		out = append(out, fmt.Sprintf("{%s} %s", attributes(object(x)["labels"]), rounded(object(x)["value"])))
	}
	slices.Sort(out)
	return out
}

// said is a text; protobuf's JSON leaves empty ones out.
func said(v any) any {
	if v == nil {
		return ""
	}
	return v
}

// rounded writes a number to five digits: sums of floats differ in the last.
func rounded(v any) string {
	n, ok := v.(float64)
	if v == nil {
		n, ok = 0, true // protobuf's JSON leaves zeros out
	}
	if !ok {
		return text(v)
	}
	return strconv.FormatFloat(n+0, 'g', 5, 64) // -0 is 0
}

func tagScopes(v map[string]any) (out []string) {
	for _, x := range list(v["scopes"]) {
		var tags []string
		for _, y := range list(object(x)["tags"]) {
			tags = append(tags, fmt.Sprint(object(x)["name"])+": "+fmt.Sprint(y))
		}
		slices.Sort(tags)
		out = append(out, tags...)
	}
	slices.Sort(out)
	return out
}

func tagNames(v map[string]any) (out []string) {
	for _, field := range []string{"tagNames", "tagValues"} {
		for _, x := range list(v[field]) {
			out = append(out, fmt.Sprint(x))
		}
	}
	slices.Sort(out)
	return out
}

func tagValues(v map[string]any) (out []string) {
	for _, x := range list(v["tagValues"]) {
		out = append(out, fmt.Sprintf("%v %v", object(x)["type"], object(x)["value"]))
	}
	slices.Sort(out)
	return out
}

// compareTraces opens some traces in each way.
func compareTraces(t *testing.T, braid, tempo program, rows []model.SpanRow, known map[string]string) {
	seen := map[model.TraceID]bool{}
	for i := range rows {
		id := rows[i].TraceID
		if seen[id] {
			continue
		}
		seen[id] = true
		if n := len(seen); n > 20 && n < bulkTraces {
			continue
		}
		for _, path := range []string{"/api/v2/traces/", "/api/traces/"} {
			bs, bb := braid.get(t, temporal(braid, path)+id.String(), "")
			ts, tb := tempo.get(t, path+id.String(), "")
			if diff := difference(lines(bs, bb, traceLines), lines(ts, tb, traceLines), "TEMPO"); diff != "" {
				t.Errorf("%s%s:\n%s", path, id, diff)
			}
		}
	}
	for _, path := range []string{"/api/v2/traces/0102030405060708090a0b0c0d0e0f10", "/api/v2/traces/zz", "/api/v2/traces/12", "/api/echo", "/api/search?start=a", "/api/search?limit=x",
		"/api/search?start=20&end=10", "/api/search?tags=http.method%3DGET&start=1&end=2", "/api/search?q=%7B%7D&minDuration=a", "/api/metrics/query_range"} {
		bs, bb := braid.get(t, path, "")
		ts, tb := tempo.get(t, path, "")
		if _, accepted := known["GET "+path]; (bs != ts) != accepted {
			t.Errorf("%s: BRAID %d %.200s, TEMPO %d %.200s", path, bs, bb, ts, tb)
		}
	}
}

// temporal is the path of Tempo's first API, which Braid shares with Jaeger's.
func temporal(p program, path string) string {
	if p.name == "BRAID" && path == "/api/traces/" {
		return "/tempo" + path
	}
	return path
}

// traceLines writes a span a line, with its resource and scope.
func traceLines(v map[string]any) (out []string) {
	batches := list(v["batches"])
	if tr := object(v["trace"]); tr != nil {
		batches = list(tr["resourceSpans"])
		if s := v["status"]; s != nil && s != "COMPLETE" { // which Tempo leaves out
			out = append(out, fmt.Sprintf("status=%v message=%v", said(v["status"]), said(v["message"])))
		}
	}
	for _, x := range batches {
		for _, y := range list(object(x)["scopeSpans"]) {
			scope := object(object(y)["scope"])
			for _, z := range list(object(y)["spans"]) {
				s := object(z)
				attrs := attributes(s["attributes"])
				delete(s, "attributes")
				for field, zero := range map[string]string{"kind": "SPAN_KIND_UNSPECIFIED", "name": ""} { // likewise
					if s[field] == zero {
						delete(s, field)
					}
				}
				for _, at := range append(list(s["events"]), list(s["links"])...) {
					sortField(object(at), "attributes")
				}
				out = append(out, fmt.Sprintf("%s {%s} %v %v {%s} {%s}", text(s), attrs, scope["name"], scope["version"], attributes(scope["attributes"]), attributes(object(object(x)["resource"])["attributes"])))
			}
		}
	}
	slices.Sort(out)
	return out
}
