package metricapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	braid "braid/pkg/model"
	"braid/pkg/tenant"
)

// Cardinality is what the series of a window are made of. Every list is
// sorted, most series first, and cut at the limit.
type Cardinality struct {
	// Start and End (Unix seconds) are the window; growth is against the window
	// of the same length before it.
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	// Series of the window, of the window before, those of now that were not
	// there before, and those of before that are not there now.
	Series  int        `json:"series"`
	Before  int        `json:"before"`
	New     int        `json:"new"`
	Gone    int        `json:"gone"`
	Metrics []Metric   `json:"metrics"`
	Labels  []Label    `json:"labels"`
	Values  []Value    `json:"values"`
	Senders []Sender   `json:"senders"`
	Label   []LabelRow `json:"label_values,omitempty"`
	// Truncated says that there are more series than the explorer looks at.
	Truncated bool     `json:"truncated,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// Metric is a metric name and its series.
type Metric struct {
	Name   string `json:"name"`
	Type   string `json:"type,omitempty"`
	Series int    `json:"series"`
	Before int    `json:"before"`
	New    int    `json:"new"`
}

// Label is a label name, how many values it has, and what they weigh.
type Label struct {
	Name   string `json:"name"`
	Values int    `json:"values"`
	Series int    `json:"series"`
	Bytes  int    `json:"bytes"` // of the distinct values
}

// Value is a label with one value.
type Value struct {
	Label  string `json:"label"`
	Value  string `json:"value"`
	Series int    `json:"series"`
}

// LabelRow is one value of the label that was asked for.
type LabelRow struct {
	Value  string `json:"value"`
	Series int    `json:"series"`
	Before int    `json:"before"`
	New    int    `json:"new"`
}

// Sender is a job: for OTLP the service's namespace and name.
type Sender struct {
	Job       string `json:"job"`
	Instances int    `json:"instances"`
	Series    int    `json:"series"`
	Before    int    `json:"before"`
	New       int    `json:"new"`
}

// question is what a request asks the explorer.
type question struct {
	start, end int64 // Unix ms, inclusive
	limit      int
	label      string
	selectors  [][]*labels.Matcher
}

const (
	defaultLimit  = 20
	mostLimit     = 1000
	defaultWindow = time.Hour
	mostWindow    = 31 * 24 * time.Hour
)

func (a *API) readQuestion(r *http.Request) (q question, err error) {
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return q, fmt.Errorf("%w: the form: %w", braid.ErrInvalid, err)
	}
	window, end := defaultWindow, a.opts.Now()
	if s := r.Form.Get("window"); s != "" {
		d, err := model.ParseDuration(s)
		if err != nil || d <= 0 || time.Duration(d) > mostWindow {
			return q, fmt.Errorf("%w: window %q: give a duration of at most %s, for example 1h", braid.ErrInvalid, s, mostWindow)
		}
		window = time.Duration(d)
	}
	if s := r.Form.Get("end"); s != "" {
		if end, err = parseTime(s); err != nil {
			return q, err
		}
	}
	q.start, q.end, q.limit, q.label = end.Add(-window).UnixMilli(), end.UnixMilli(), defaultLimit, r.Form.Get("label")
	if s := r.Form.Get("limit"); s != "" {
		if q.limit, err = strconv.Atoi(s); err != nil || q.limit <= 0 || q.limit > mostLimit {
			return q, fmt.Errorf("%w: limit %q: give a number from 1 to %d", braid.ErrInvalid, s, mostLimit)
		}
	}
	if list := r.Form["match[]"]; len(list) > 0 {
		if q.selectors, err = a.parser.ParseMetricSelectors(list); err != nil {
			return q, fmt.Errorf("%w: match[]: %w", braid.ErrInvalid, err)
		}
		return q, nil
	}
	q.selectors = [][]*labels.Matcher{{labels.MustNewMatcher(labels.MatchNotEqual, labels.MetricName, "")}}
	return q, nil
}

// parseTime reads Unix seconds or RFC 3339.
func parseTime(s string) (time.Time, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > 0 && f < 1e11 {
		return time.UnixMilli(int64(f * 1000)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%w: end %q: give Unix seconds or RFC 3339", braid.ErrInvalid, s)
	}
	return t, nil
}

func (a *API) serveCardinality(w http.ResponseWriter, r *http.Request) {
	id, err := tenant.FromHTTP(r)
	if err != nil {
		fail(w, fmt.Errorf("%w: %w", braid.ErrInvalid, err))
		return
	}
	q, err := a.readQuestion(r)
	if err != nil {
		fail(w, err)
		return
	}
	ctx := r.Context()
	done := func(*braid.QueryStats, error) {}
	if a.opts.Guard != nil {
		text := "cardinality"
		for _, s := range q.selectors {
			text += " " + (&parser.VectorSelector{LabelMatchers: s}).String()
		}
		if ctx, done, err = a.opts.Guard.Begin(ctx, id, "promql", text); err != nil {
			fail(w, err)
			return
		}
	}
	out, err := a.cardinality(ctx, id, &q)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	done(nil, err)
	if err != nil {
		fail(w, err)
		return
	}
	respondData(w, out)
}

// cardinality looks at the window before, then at the window itself.
func (a *API) cardinality(ctx context.Context, id tenant.ID, q *question) (*Cardinality, error) {
	c := newCount(q.label)
	width := q.end - q.start
	more, err := a.each(ctx, id, q, q.start-width-1, q.start-1, c.before)
	if err != nil {
		return nil, err
	}
	slices.Sort(c.old)
	again, err := a.each(ctx, id, q, q.start, q.end, c.now)
	if err != nil {
		return nil, err
	}
	out := c.answer(q.limit)
	out.Start, out.End = float64(q.start)/1000, float64(q.end)/1000
	out.Truncated = more || again
	meta, err := a.opts.Source.Metadata(ctx, id, "", 0)
	if err != nil {
		out.Warnings = append(out.Warnings, "types of metrics are not known: "+err.Error())
	}
	for i := range out.Metrics {
		out.Metrics[i].Type = metricType(meta, out.Metrics[i].Name)
	}
	return out, nil
}

// metricType finds the type of a series' metric: the parts of a histogram or a
// summary are described under the family's name.
func metricType(meta map[string]braid.MetricMeta, name string) string {
	if m, ok := meta[name]; ok {
		return m.Type
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum", "_total"} {
		if n := len(name) - len(suffix); n > 0 && name[n:] == suffix {
			if m, ok := meta[name[:n]]; ok {
				return m.Type
			}
		}
	}
	return ""
}
