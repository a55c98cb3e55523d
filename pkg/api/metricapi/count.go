package metricapi

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"braid/pkg/tenant"
)

// seriesPerCheck is how many series pass between looks at the context.
const seriesPerCheck = 4096

// each calls f with the labels of every series that has samples in [from, to]
// (Unix ms), or in a chunk of samples that reaches into it. more is true when
// there are series beyond the bound.
func (a *API) each(ctx context.Context, id tenant.ID, q *question, from, to int64, f func(labels.Labels)) (more bool, err error) {
	querier, err := a.opts.Source.Queryable(id).Querier(from, to)
	if err != nil {
		return false, err
	}
	defer querier.Close()
	// The name of the function tells the store that no sample is needed.
	hints := &storage.SelectHints{Start: from, End: to, Func: "series"}
	sets := make([]storage.SeriesSet, len(q.selectors))
	for i, s := range q.selectors {
		sets[i] = querier.Select(ctx, len(q.selectors) > 1, hints, s...)
	}
	set := sets[0]
	if len(sets) > 1 {
		set = storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	}
	n := 0
	for set.Next() {
		if n++; n > a.opts.MaxSeries {
			return true, nil
		}
		if n%seriesPerCheck == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		f(set.At().Labels())
	}
	return false, set.Err()
}

// tally counts the series of one thing.
type tally struct{ now, before, fresh int }

func (t *tally) add(fresh bool) {
	t.now++
	if fresh {
		t.fresh++
	}
}

// count is what is learnt while series pass. The strings are those of the
// store; nothing is copied but what the answer shows.
type count struct {
	label   string   // of which every value is counted
	old     []uint64 // hashes of the series of before
	series  tally
	metrics map[string]*tally
	jobs    map[string]*sender
	rows    map[string]*tally
	values  map[string]map[string]int
}

type sender struct {
	tally
	instances map[string]struct{}
}

func newCount(label string) *count {
	return &count{label: label, metrics: map[string]*tally{}, jobs: map[string]*sender{}, rows: map[string]*tally{}, values: map[string]map[string]int{}}
}

func at[T any](m map[string]*T, key string) *T {
	v := m[key]
	if v == nil {
		v = new(T)
		m[key] = v
	}
	return v
}

func (c *count) before(ls labels.Labels) {
	c.old = append(c.old, ls.Hash())
	c.series.before++
	at(c.metrics, ls.Get(labels.MetricName)).before++
	at(c.jobs, ls.Get("job")).before++
	if c.label != "" {
		if v := ls.Get(c.label); v != "" {
			at(c.rows, v).before++
		}
	}
}

func (c *count) now(ls labels.Labels) {
	_, known := slices.BinarySearch(c.old, ls.Hash())
	c.series.add(!known)
	at(c.metrics, ls.Get(labels.MetricName)).add(!known)
	job := at(c.jobs, ls.Get("job"))
	job.add(!known)
	ls.Range(func(l labels.Label) {
		switch l.Name {
		case "instance":
			if job.instances == nil {
				job.instances = map[string]struct{}{}
			}
			job.instances[l.Value] = struct{}{}
		case c.label:
			at(c.rows, l.Value).add(!known)
		}
		values := c.values[l.Name]
		if values == nil {
			values = map[string]int{}
			c.values[l.Name] = values
		}
		values[l.Value]++
	})
}

// answer cuts what was counted down to the limit.
func (c *count) answer(limit int) *Cardinality {
	out := &Cardinality{Series: c.series.now, Before: c.series.before, New: c.series.fresh,
		Gone: c.series.before - (c.series.now - c.series.fresh), Metrics: []Metric{}, Labels: []Label{}, Values: []Value{}, Senders: []Sender{}}
	for name, t := range c.metrics {
		out.Metrics = append(out.Metrics, Metric{Name: strings.Clone(name), Series: t.now, Before: t.before, New: t.fresh})
	}
	for job, s := range c.jobs {
		out.Senders = append(out.Senders, Sender{Job: strings.Clone(job), Instances: len(s.instances), Series: s.now, Before: s.before, New: s.fresh})
	}
	for v, t := range c.rows {
		out.Label = append(out.Label, LabelRow{Value: strings.Clone(v), Series: t.now, Before: t.before, New: t.fresh})
	}
	for name, values := range c.values {
		l := Label{Name: strings.Clone(name), Values: len(values)}
		for v, n := range values {
			l.Series += n
			l.Bytes += len(v)
			if name != labels.MetricName {
				out.Values = append(out.Values, Value{Label: name, Value: v, Series: n})
			}
		}
		out.Labels = append(out.Labels, l)
		// A label may have a value a series: what cannot be shown is let go.
		if len(out.Values) > 1<<16 {
			out.Values = topValues(out.Values, limit)
		}
	}
	out.Metrics = top(out.Metrics, limit, func(a, b Metric) int {
		return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(b.Before, a.Before), cmp.Compare(a.Name, b.Name))
	})
	out.Labels = top(out.Labels, limit, func(a, b Label) int {
		return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name))
	})
	out.Values = topValues(out.Values, limit)
	for i := range out.Values {
		out.Values[i].Label, out.Values[i].Value = strings.Clone(out.Values[i].Label), strings.Clone(out.Values[i].Value)
	}
	out.Senders = top(out.Senders, limit, func(a, b Sender) int {
		return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(b.Before, a.Before), cmp.Compare(a.Job, b.Job))
	})
	out.Label = top(out.Label, limit, func(a, b LabelRow) int {
		return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(b.Before, a.Before), cmp.Compare(a.Value, b.Value))
	})
	return out
}

func topValues(list []Value, limit int) []Value {
	return top(list, limit, func(a, b Value) int {
		return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Value, b.Value))
	})
}

func top[T any](list []T, limit int, compare func(a, b T) int) []T {
	slices.SortFunc(list, compare)
	return list[:min(len(list), limit)]
}
