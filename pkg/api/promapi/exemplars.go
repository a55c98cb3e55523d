package promapi

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// exemplarQueryable answers query_exemplars from the durable store.
type exemplarQueryable struct {
	source Source
}

// ExemplarQuerier implements storage.ExemplarQueryable.
func (e exemplarQueryable) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return exemplarQuerier{e, ctx}, nil
}

type exemplarQuerier struct {
	exemplarQueryable
	ctx context.Context
}

// maxExemplars bounds one answer: a chart shows a few hundred.
const maxExemplars = 20_000

// Select implements storage.ExemplarQuerier; times are inclusive Unix ms. The
// answer is never nil, so that it is an empty list in JSON.
func (e exemplarQuerier) Select(start, end int64, matchers ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	id, err := tenantOf(e.ctx)
	if err != nil {
		return nil, err
	}
	q := &predicate.ExemplarQuery{Tenant: id, Range: nanoRange(start, end), Limit: maxExemplars}
	for _, set := range matchers {
		alternative := make([]predicate.LabelMatcher, len(set))
		for i, m := range set {
			alternative[i] = predicate.LabelMatcher{Name: m.Name, Op: m.Type.String(), Value: m.Value}
		}
		q.Series = append(q.Series, alternative)
	}
	out := []exemplar.QueryResult{}
	at := map[string]int{}
	for rows, err := range e.source.Exemplars(e.ctx, q) {
		if err != nil {
			return nil, err
		}
		for i := range rows {
			ls := seriesLabels(rows[i].Series)
			key := ls.String()
			n, ok := at[key]
			if !ok {
				n = len(out)
				at[key] = n
				out = append(out, exemplar.QueryResult{SeriesLabels: ls})
			}
			out[n].Exemplars = append(out[n].Exemplars, promExemplar(&rows[i].Exemplar))
		}
	}
	return out, nil
}

// nanoRange turns inclusive milliseconds into [start, end) nanoseconds without
// overflowing at the ends of time.
func nanoRange(start, end int64) model.TimeRange {
	const most = math.MaxInt64 / int64(time.Millisecond)
	start, end = max(start, -most), min(max(end, -most), most-1)
	return model.TimeRange{Start: start * int64(time.Millisecond), End: (end + 1) * int64(time.Millisecond)}
}

func seriesLabels(s []model.Label) labels.Labels {
	b := labels.NewScratchBuilder(len(s))
	for _, l := range s {
		b.Add(l.Name, l.Value)
	}
	b.Sort()
	return b.Labels()
}

func promExemplar(e *model.Exemplar) exemplar.Exemplar {
	b := labels.NewScratchBuilder(len(e.Attrs) + 2)
	if !e.TraceID.IsZero() {
		b.Add("trace_id", e.TraceID.String())
	}
	if !e.SpanID.IsZero() {
		b.Add("span_id", e.SpanID.String())
	}
	for _, a := range e.Attrs {
		if a.Key != "trace_id" && a.Key != "span_id" {
			b.Add(a.Key, a.Value.Text())
		}
	}
	b.Sort()
	return exemplar.Exemplar{Labels: b.Labels(), Value: e.Value, Ts: e.Time / int64(time.Millisecond), HasTs: true}
}
