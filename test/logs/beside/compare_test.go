package beside

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// differences asks both and tells what is not the same, "" when nothing.
func (q *question) differences(t *testing.T) string {
	path := q.path()
	a, b := servers[0].ask(t, path, q.header), servers[1].ask(t, path, q.header)
	if a.status != b.status {
		return fmt.Sprintf("  status %d: %.200s\n  Braid's %d: %.200s", a.status, a.body, b.status, b.body)
	}
	if x, y := media(a), media(b); x != y {
		return fmt.Sprintf("  content type %q: %.200s\n  Braid's %q: %.200s", x, a.body, y, b.body)
	}
	if a.status != 200 {
		if strings.HasPrefix(a.body, "parse error") && !strings.HasPrefix(b.body, "parse error") {
			return fmt.Sprintf("  error: %s\n  Braid's: %s", a.body, b.body)
		}
		return ""
	}
	x, y := facts(q, a.body, true), facts(q, b.body, false)
	return missing("only the peer", x, y) + missing("only Braid", y, x)
}

func media(r reply) string {
	m, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	return m
}

const shown = 5

func missing(title string, a, b []string) string {
	left := map[string]int{}
	for _, s := range b {
		left[s]++
	}
	var out []string
	for _, s := range a {
		if left[s]--; left[s] < 0 {
			out = append(out, fmt.Sprintf("  %s: %.600s", title, s))
		}
	}
	if n := len(out) - shown; n > 0 {
		out = append(out[:shown], fmt.Sprintf("  … and %d more", n))
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "\n") + "\n"
}

// facts are an answer's statements, each a line of its own, in an order that
// does not matter where the API promises none.
func facts(q *question, body string, peer bool) []string {
	var a struct {
		Status string
		Data   json.RawMessage
	}
	if json.Unmarshal([]byte(body), &a) != nil || len(a.Data) == 0 {
		return plain(body)
	}
	var d struct {
		ResultType string
		Encoding   []string `json:"encodingFlags"`
		Result     json.RawMessage
		Stats      map[string]any
	}
	if json.Unmarshal(a.Data, &d) != nil || d.ResultType == "" {
		return plain(body)
	}
	out := []string{"type " + d.ResultType, fmt.Sprint("flags ", d.Encoding)}
	for _, part := range []string{"summary", "querier", "ingester"} {
		if _, ok := d.Stats[part]; !ok {
			out = append(out, "no statistics "+part)
		}
	}
	var rows []struct {
		Stream, Metric map[string]string
		Value          []any
		Values         [][]any
	}
	if d.ResultType == "scalar" {
		return append(out, "scalar "+scalar(d.Result))
	}
	if json.Unmarshal(d.Result, &rows) != nil {
		return append(out, "result "+string(d.Result))
	}
	for i, r := range rows {
		ls := r.Metric
		if d.ResultType == "streams" {
			ls = r.Stream
		}
		name := labels(ls, peer)
		if strings.Contains(q.text, "sort") && q.kind == "instant" {
			name = fmt.Sprint(i, ". ", name)
		}
		if r.Value != nil {
			r.Values = [][]any{r.Value}
		}
		for j, v := range r.Values {
			out = append(out, name+" "+place(d.ResultType, r.Values, j)+value(v, peer))
		}
	}
	return out
}

// scalar renders [time, value]; the peer has the time in milliseconds, though
// seconds everywhere else.
func scalar(raw json.RawMessage) string {
	var v []any
	if json.Unmarshal(raw, &v) != nil || len(v) != 2 {
		return string(raw)
	}
	if t, ok := v[0].(float64); ok && t > 1e11 {
		v[0] = t / 1000
	}
	return value(v, true)
}

// place tells which of several entries of one instant it is: their order counts.
func place(kind string, values [][]any, j int) string {
	n := 0
	for k := j - 1; kind == "streams" && k >= 0 && values[k][0] == values[j][0]; k-- {
		n++
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("(%d) ", n+1)
}

// value renders [time, value] or [time, line, {…}].
func value(v []any, peer bool) string {
	if t, ok := v[0].(float64); ok {
		f, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64)
		if err != nil {
			return fmt.Sprint(t, " ", v[1])
		}
		if math.Abs(f) > 1e-9 || math.IsNaN(f) {
			return fmt.Sprintf("%.3f %.9g", t-float64(start.Unix()), f)
		}
		return fmt.Sprintf("%.3f 0", t-float64(start.Unix()))
	}
	ns, _ := strconv.ParseInt(fmt.Sprint(v[0]), 10, 64)
	text := fmt.Sprintf("%.6f %q", float64(ns-start.UnixNano())/1e9, v[1])
	if len(v) < 3 {
		return text
	}
	kinds, _ := v[2].(map[string]any)
	for _, k := range sortedKeys(kinds) {
		ls := map[string]string{}
		inner, _ := kinds[k].(map[string]any)
		for n, x := range inner {
			ls[n] = fmt.Sprint(x)
		}
		text += " " + k + labels(ls, peer)
	}
	return text
}

// ownLabels are labels that one of the two adds to what was sent, by design. A
// severity that Braid guessed has a number as well.
var ownLabels = map[bool][]string{
	true:  {"observed_timestamp", "detected_level", "severity_number"},
	false: {"detected_level", "severity_number"},
}

func labels(ls map[string]string, peer bool) string {
	var parts []string
	for _, k := range sortedKeys(ls) {
		if slices.Contains(ownLabels[peer], k) {
			continue
		}
		if k == "__error_details__" {
			continue // each says it in its own words, or not
		}
		parts = append(parts, k+"="+strconv.Quote(ls[k]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// plain cuts any other JSON into its leaves, the elements of arrays of scalars
// and objects in no order; what is no JSON stays whole.
func plain(body string) []string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return []string{body}
	}
	var out []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range sortedKeys(v) {
				walk(path+"."+k, v[k])
			}
			if len(v) == 0 {
				out = append(out, path+" {}")
			}
		case []any:
			for _, x := range v {
				if b, err := json.Marshal(x); err == nil {
					out = append(out, path+"[] "+string(b))
				}
			}
			if len(v) == 0 {
				out = append(out, path+" []")
			}
		default:
			out = append(out, fmt.Sprint(path, " ", v))
		}
	}
	walk("", v)
	sort.Strings(out)
	return out
}
