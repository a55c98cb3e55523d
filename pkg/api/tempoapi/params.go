package tempoapi

import (
	"fmt"
	"math"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/query/traceql"
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{model.ErrInvalid}, args...)...)
}

// parseTime reads Unix seconds (Tempo's unit), also with a fraction, as
// milliseconds, microseconds or nanoseconds, and RFC 3339.
func parseTime(name, s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n >= 1e17:
			return n, nil
		case n >= 1e14:
			return n * 1e3, nil
		case n >= 1e11:
			return n * 1e6, nil
		}
		return n * 1e9, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 9e9 {
		return int64(f * 1e9), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UnixNano(), nil
	}
	return 0, invalid("%s=%q: expected Unix seconds or RFC 3339", name, s)
}

// parseRange reads start and end; both absent mean all time.
func parseRange(q url.Values) (r model.TimeRange, err error) {
	if s := q.Get("start"); s != "" && s != "0" {
		if r.Start, err = parseTime("start", s); err != nil {
			return r, err
		}
	}
	if s := q.Get("end"); s != "" && s != "0" {
		if r.End, err = parseTime("end", s); err != nil {
			return r, err
		}
	}
	if r.Start != 0 && r.End == 0 {
		r.End = math.MaxInt64
	}
	if r.End < r.Start {
		return r, invalid("end=%s lies before start=%s", q.Get("end"), q.Get("start"))
	}
	if r.Start == r.End && r.Start != 0 {
		r.End++ // a range of one instant is not all time
	}
	return r, nil
}

func parseCount(q url.Values, name string, otherwise int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, invalid("%s=%q: expected a number", name, s)
	}
	return n, nil
}

// parseSearch reads a search: TraceQL in q, or Tempo's older tags with
// minDuration and maxDuration.
func parseSearch(q url.Values) (p traceql.Params, err error) {
	if p.Range, err = parseRange(q); err != nil {
		return p, err
	}
	if p.Limit, err = parseCount(q, "limit", 20); err != nil {
		return p, err
	}
	if p.SpansPerSet, err = parseCount(q, "spss", 3); err != nil {
		return p, err
	}
	if p.SpansPerSet == 0 {
		p.SpansPerSet = -1 // Tempo: 0 is no limit
	}
	p.Query = q.Get("q")
	tags, err := parseTags(q.Get("tags"))
	if err != nil {
		return p, err
	}
	older, err := tagQuery(tags, q.Get("minDuration"), q.Get("maxDuration"))
	if p.Query == "" {
		p.Query = older
	}
	return p, err
}

// tagQuery spells an old-style search as TraceQL.
func tagQuery(tags map[string]string, minDuration, maxDuration string) (string, error) {
	var conds []string
	for _, d := range []struct{ op, name, value string }{{">=", "minDuration", minDuration}, {"<=", "maxDuration", maxDuration}} {
		if d.value == "" || d.value == "0" || d.value == "0s" {
			continue
		}
		v, err := time.ParseDuration(d.value)
		if err != nil {
			return "", invalid("%s=%q: expected a duration such as 100ms", d.name, d.value)
		}
		conds = append(conds, fmt.Sprintf("traceDuration %s %s", d.op, v))
	}
	names := make([]string, 0, len(tags))
	for k := range tags {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		conds = append(conds, tagCondition(k, tags[k]))
	}
	return "{ " + strings.Join(conds, " && ") + " }", nil
}

// tagCondition compares a tag with a value whose type is not known.
func tagCondition(name, value string) string {
	switch name {
	case "name":
		return "name = " + strconv.Quote(value)
	case "root.name":
		return "rootName = " + strconv.Quote(value)
	case "root.service.name":
		return "rootServiceName = " + strconv.Quote(value)
	case "status", "status.code":
		if value == "error" || value == "ok" || value == "unset" {
			return "status = " + value
		}
	}
	f := traceql.Field{Scope: traceql.ScopeNone, Name: name}.String()
	either := []string{f + " = " + strconv.Quote(value)}
	if n, err := strconv.ParseFloat(value, 64); err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
		either = append(either, f+" = "+strconv.FormatFloat(n, 'f', -1, 64))
	}
	if value == "true" || value == "false" {
		either = append(either, f+" = "+value)
	}
	if len(either) == 1 {
		return either[0]
	}
	return "(" + strings.Join(either, " || ") + ")"
}

// parseTags reads logfmt: a=b c="d e".
func parseTags(s string) (map[string]string, error) {
	out := map[string]string{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		eq := strings.IndexByte(s, '=')
		if eq <= 0 || strings.ContainsAny(s[:eq], " \"") {
			return nil, invalid("tags=%q: expected key=value pairs parted by spaces", s)
		}
		key := s[:eq]
		s = s[eq+1:]
		if !strings.HasPrefix(s, `"`) {
			end := strings.IndexByte(s, ' ')
			if end < 0 {
				end = len(s)
			}
			out[key], s = s[:end], s[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, invalid("tags: the value of %q has no closing quote", key)
		}
		s = s[len(quoted):]
		if out[key], err = strconv.Unquote(quoted); err != nil {
			return nil, invalid("tags: the value %s of %q cannot be read", quoted, key)
		}
	}
	return out, nil
}

// parseSubset reads which spans of a trace are wanted: all of them unless q is
// there. The rest of the parameters count only with it.
func parseSubset(q url.Values) (s traceql.Subset, err error) {
	if s.Filter = strings.TrimSpace(q.Get("q")); s.Filter == "" {
		return s, nil
	}
	if s.Below, err = parseDepth(q, "match_depth", 0); err != nil {
		return s, err
	}
	if text := q.Get("keep_hierarchy"); text != "" {
		keep, err := strconv.ParseBool(text)
		if err != nil {
			return s, invalid("keep_hierarchy=%q: expected true or false", text)
		}
		if keep {
			s.Above, err = parseDepth(q, "ancestor_depth", -1)
			return s, err
		}
	}
	return s, nil
}

// parseDepth reads a number of levels; -1 means all.
func parseDepth(q url.Values, name string, otherwise int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < -1 {
		return 0, invalid("%s=%q: expected a number of levels, or -1 for all", name, s)
	}
	return n, nil
}

// defaultExemplars is Tempo's: a client that says 0 says nothing.
const defaultExemplars = 100

// parseMetrics reads a metrics query: start and end, or since until now.
func (a *API) parseMetrics(q url.Values) (p traceql.MetricsParams, err error) {
	if p.Query = q.Get("q"); p.Query == "" {
		p.Query = q.Get("query")
	}
	r, err := parseRange(q)
	if err != nil {
		return p, err
	}
	now := a.opts.Now().UnixNano()
	if r.End == 0 || r.End == math.MaxInt64 {
		r.End = now
	}
	if r.Start == 0 {
		since := time.Hour
		if s := q.Get("since"); s != "" {
			if since, err = parseStep("since", s); err != nil {
				return p, err
			}
		}
		r.Start = r.End - int64(since)
	}
	p.Start, p.End = r.Start, r.End
	if s := q.Get("step"); s != "" && s != "0" {
		step, err := parseStep("step", s)
		if err != nil {
			return p, err
		}
		p.Step = int64(step)
	}
	if p.Exemplars, err = parseCount(q, "exemplars", 0); p.Exemplars == 0 {
		p.Exemplars = defaultExemplars
	}
	return p, err
}

// parseStep reads 15s or seconds.
func parseStep(name, s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || math.Abs(f) > 9e9 {
			return 0, invalid("%s=%q: expected a duration such as 15s", name, s)
		}
		d = time.Duration(f * 1e9)
	}
	if d <= 0 {
		return 0, invalid("%s=%q: must be positive", name, s)
	}
	return d, nil
}
