package correlation

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// SpanLogs is what was logged while a span was at work.
type SpanLogs struct {
	Logs []model.LogRow // oldest first
	// By tells how they were found: "span" when they name it; "time" when none
	// does, and they are the records of its trace, of its service, of its time.
	By       string
	Complete bool
	Warnings []string
}

// SpanLogs returns the log records of one span. A span that nobody knows has
// none. Errors: model.ErrInvalid for a zero id, the context's, a source's.
func (f *Finder) SpanLogs(ctx context.Context, t tenant.ID, trace model.TraceID, span model.SpanID, limit int) (*SpanLogs, error) {
	if trace.IsZero() || span.IsZero() {
		return nil, fmt.Errorf("%w: trace_id and span_id: give both, in hex", model.ErrInvalid)
	}
	if limit <= 0 || limit > f.opts.MaxRows {
		limit = f.opts.MaxRows
	}
	stats := &model.QueryStats{}
	out := &SpanLogs{By: "span"}
	carries := predicate.Correlated{Kind: model.KeyTrace, ID: trace.String()}
	named := predicate.AllOf(carries, predicate.Compare{Field: predicate.Intrinsic(predicate.SpanID), Op: predicate.Eq, Value: model.String(span.String())})
	read := func(filter predicate.Expr, r model.TimeRange, keep func(*model.LogRow) bool) error {
		q := &predicate.LogQuery{Tenant: t, Range: r, Filter: filter, Order: predicate.OldestFirst, Limit: limit, Stats: stats}
		for batch, err := range f.opts.Logs.SelectLogs(ctx, q) {
			if err != nil {
				return fmt.Errorf("cannot read the logs of a span: %w", err)
			}
			for i := range batch {
				if keep(&batch[i]) {
					out.Logs = append(out.Logs, batch[i])
				}
			}
		}
		return nil
	}
	if err := read(named, model.TimeRange{}, func(*model.LogRow) bool { return true }); err != nil {
		return nil, err
	}
	if len(out.Logs) == 0 {
		s, err := f.span(ctx, t, trace, span, stats)
		if err != nil {
			return nil, err
		}
		if s != nil {
			out.By = "time"
			r := model.TimeRange{Start: s.Start, End: max(s.Start, s.End) + 1}
			if err := read(carries, r, func(l *model.LogRow) bool { return l.SpanID.IsZero() && l.Resource.Service() == s.Resource.Service() }); err != nil {
				return nil, err
			}
		}
	}
	out.Warnings = stats.Warnings()
	out.Complete = len(out.Warnings) == 0 && len(out.Logs) < limit
	return out, nil
}

// span finds one span of a trace; nil when it is not there.
func (f *Finder) span(ctx context.Context, t tenant.ID, trace model.TraceID, id model.SpanID, stats *model.QueryStats) (*model.SpanRow, error) {
	for batch, err := range f.opts.Traces.Trace(ctx, t, trace, stats) {
		if err != nil {
			return nil, fmt.Errorf("cannot read trace %s: %w", trace, err)
		}
		for i := range batch {
			if batch[i].SpanID == id {
				return &batch[i], nil
			}
		}
	}
	return nil, nil
}

// TraceOf is a trace that a log record leads to. Via is the id that leads there.
// Known is false when no span of it was received.
type TraceOf struct {
	Request RequestSummary
	Via     model.CorrelationKey
	Known   bool
}

// maxTracesOf bounds the traces that one record leads to.
const maxTracesOf = 20

// TracesOfLog leads from a log record to its trace: the one that it names, in
// the field for it or in an attribute; or those that share its request id; or,
// where it carries no id, those of ids in its text.
func (f *Finder) TracesOfLog(ctx context.Context, t tenant.ID, l *model.LogRow) ([]TraceOf, []string, error) {
	spec, stats := f.opts.KeySpec(), &model.QueryStats{}
	var keys []model.CorrelationKey
	add := func(k model.CorrelationKey) {
		for _, have := range keys {
			if have == k {
				return
			}
		}
		if followed(k.Kind) || k.Kind == "" {
			keys = append(keys, k)
		}
	}
	predicate.EachLogKey(spec, l, add)
	if len(keys) == 0 {
		for _, token := range tokens(l.Body.Text()) {
			for _, k := range readings(token, "") {
				add(k)
			}
		}
	}
	sort.SliceStable(keys, func(i, j int) bool { return keys[i].Kind == model.KeyTrace && keys[j].Kind != model.KeyTrace })
	var out []TraceOf
	seen := map[model.TraceID]bool{}
	for _, k := range keys {
		found, err := f.tracesOf(ctx, t, spec, k, stats)
		if err != nil {
			return nil, nil, err
		}
		for _, one := range found {
			if !seen[one.Request.TraceID] && len(out) < maxTracesOf {
				seen[one.Request.TraceID] = true
				out = append(out, one)
			}
		}
		if k.Kind == model.KeyTrace && len(out) > 0 {
			break // it names its trace: nothing is to be guessed
		}
	}
	return out, stats.Warnings(), nil
}

// tracesOf returns the traces of one id: those whose spans carry it, else those
// that log records name beside it.
func (f *Finder) tracesOf(ctx context.Context, t tenant.ID, spec *model.KeySpec, k model.CorrelationKey, stats *model.QueryStats) (out []TraceOf, err error) {
	rows, _, err := f.requestsOf(ctx, t, spec, []model.CorrelationKey{k}, stats)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if !rows[i].TraceID.IsZero() && len(out) < maxTracesOf {
			out = append(out, TraceOf{Request: rows[i], Via: k, Known: rows[i].Spans > 0})
		}
	}
	// Records of the request id may name a trace whose spans do not carry it.
	for i := range out {
		if !out[i].Known {
			one := []Behind{{Request: out[i].Request}}
			if err := f.fillSummaries(ctx, t, one, stats); err != nil {
				return nil, err
			}
			out[i].Request, out[i].Known = one[0].Request, one[0].Request.Spans > 0
		}
	}
	return out, nil
}

// MetricAt is a series at the time of a request.
type MetricAt struct {
	Labels []model.Label
	Meta   model.MetricMeta
	Time   int64 // Unix ns, of the sample
	Value  float64
	// Rate is the increase a second over the window, of a counter; NaN else.
	Rate float64
}

// ServiceMetrics are the series of one of a request's services. Total counts
// them all; Series holds the first of them by name.
type ServiceMetrics struct {
	Service string
	Total   int
	Series  []MetricAt
}

// TraceMetrics are the metrics of the services of a trace at its time. Range is
// the window that was looked at.
type TraceMetrics struct {
	Range    model.TimeRange
	Services []ServiceMetrics
	Warnings []string
}

const (
	// metricsAround is how much before and after a request its metrics are
	// looked at: at least two scrapes.
	metricsAround = 5 * time.Minute
	// maxMetrics bounds the series returned of one service.
	maxMetrics = 1000
	// maxMetricServices bounds the services of a trace that are looked at.
	maxMetricServices = 50
)

// TraceMetrics reads the series of each service of a trace as they were when it
// ran. limit bounds the series of a service; 0 means 100. Buckets of classic
// histograms are left out: their sums and counts are there. A trace that is not
// there has no services.
func (f *Finder) TraceMetrics(ctx context.Context, t tenant.ID, trace model.TraceID, limit int) (*TraceMetrics, error) {
	if trace.IsZero() {
		return nil, fmt.Errorf("%w: trace_id is empty or no trace id", model.ErrInvalid)
	}
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, maxMetrics)
	stats := &model.QueryStats{}
	var facts model.TraceFacts
	for batch, err := range f.opts.Traces.Trace(ctx, t, trace, stats) {
		if err != nil {
			return nil, fmt.Errorf("cannot read trace %s: %w", trace, err)
		}
		for i := range batch {
			facts.Add(&batch[i])
		}
	}
	out := &TraceMetrics{}
	if facts.Spans == 0 {
		out.Warnings = stats.Warnings()
		return out, nil
	}
	out.Range = model.TimeRange{Start: facts.Start - int64(metricsAround), End: facts.End + int64(metricsAround)}
	names := make([]string, 0, len(facts.Services))
	for name := range facts.Services {
		names = append(names, name)
	}
	sort.Strings(names)
	if len(names) > maxMetricServices {
		stats.Warn("metrics are shown of %d of %d services", maxMetricServices, len(names))
		names = names[:maxMetricServices]
	}
	meta, err := f.opts.Metrics.Metadata(ctx, t, "", 0)
	if err != nil {
		stats.Warn("types and units of metrics are not shown: %v", err)
	}
	q, err := f.opts.Metrics.Queryable(t).Querier(out.Range.Start/1e6, out.Range.End/1e6)
	if err != nil {
		return nil, fmt.Errorf("cannot read metrics: %w", err)
	}
	defer func() { _ = q.Close() }()
	for _, name := range names {
		one, err := serviceMetrics(ctx, q, name, facts.End/1e6, limit, meta, stats)
		if err != nil {
			return nil, err
		}
		out.Services = append(out.Services, *one)
	}
	out.Warnings = stats.Warnings()
	return out, nil
}

func serviceMetrics(ctx context.Context, q storage.Querier, service string, at int64, limit int, meta map[string]model.MetricMeta, stats *model.QueryStats) (*ServiceMetrics, error) {
	noBuckets := labels.MustNewMatcher(labels.MatchEqual, "le", "")
	byName := labels.MustNewMatcher(labels.MatchEqual, "service_name", service)
	byJob := labels.MustNewMatcher(labels.MatchRegexp, "job", "(?:.*/)?"+regexp.QuoteMeta(service))
	out := &ServiceMetrics{Service: service}
	for _, m := range []*labels.Matcher{byName, byJob} {
		set := q.Select(ctx, true, nil, m, noBuckets)
		var it chunkenc.Iterator
		for set.Next() {
			if out.Total++; len(out.Series) >= limit {
				continue
			}
			s := set.At()
			it = s.Iterator(it)
			row, err := metricAt(s.Labels(), it, at, meta)
			if err != nil {
				return nil, fmt.Errorf("cannot read %s: %w", s.Labels(), err)
			}
			if row != nil {
				out.Series = append(out.Series, *row)
			}
		}
		if err := set.Err(); err != nil {
			return nil, fmt.Errorf("cannot read the metrics of %s: %w", service, err)
		}
		for _, w := range set.Warnings() {
			stats.Warn("%v", w)
		}
		if out.Total > 0 {
			break
		}
	}
	if out.Total > limit {
		stats.Warn("%d of the %d series of %s are shown", limit, out.Total, service)
	}
	return out, nil
}

// metricAt reads the last sample up to a moment, or else the first after it, and
// the increase over the whole window.
func metricAt(ls labels.Labels, it chunkenc.Iterator, at int64, meta map[string]model.MetricMeta) (*MetricAt, error) {
	row := &MetricAt{Rate: math.NaN()}
	ls.Range(func(l labels.Label) { row.Labels = append(row.Labels, model.Label{Name: l.Name, Value: l.Value}) })
	name := ls.Get(labels.MetricName)
	row.Meta = metaOf(meta, name)
	var lastT, firstT int64
	var increase, before float64
	n := 0
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		var ts int64
		var v float64
		switch kind {
		case chunkenc.ValFloat:
			ts, v = it.At()
		default:
			var h *histogram.FloatHistogram
			ts, h = it.AtFloatHistogram(nil)
			v = h.Count
		}
		if math.IsNaN(v) {
			continue
		}
		if n == 0 {
			firstT = ts
		} else if v >= before {
			increase += v - before
		} else {
			increase += v // a reset
		}
		before, lastT = v, ts
		if n == 0 || ts <= at {
			row.Time, row.Value = ts*1e6, v
		}
		n++
	}
	if err := it.Err(); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	if lastT > firstT && isCounter(name, row.Meta) {
		row.Rate = increase / (float64(lastT-firstT) / 1000)
	}
	return row, nil
}

func metaOf(meta map[string]model.MetricMeta, name string) model.MetricMeta {
	if m, ok := meta[name]; ok {
		return m
	}
	for _, ending := range []string{"_total", "_count", "_sum", "_bucket"} {
		if base, ok := strings.CutSuffix(name, ending); ok {
			if m, ok := meta[base]; ok {
				return m
			}
		}
	}
	return model.MetricMeta{}
}

func isCounter(name string, m model.MetricMeta) bool {
	if m.Type == "gauge" {
		return false
	}
	for _, ending := range []string{"_total", "_count", "_sum"} {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return m.Type == "counter" || m.Type == "histogram"
}
