package correlation

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"golang.org/x/sync/errgroup"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// walk is one look-up in progress: what has been asked, what was found, and
// which ids are still to be followed.
type walk struct {
	f     *Finder
	t     tenant.ID
	spec  *model.KeySpec
	id    string
	limit int
	stats *model.QueryStats

	asked   map[model.CorrelationKey]bool
	queue   []model.CorrelationKey
	kinds   []model.CorrelationKey
	aliases map[model.CorrelationKey]bool

	spans     map[spanKey]*model.SpanRow
	logs      map[logKey]*model.LogRow
	exemplars map[exemplarKey]*model.ExemplarRow
	requests  []RequestSummary
	gaps      []Gap
}

type spanKey struct {
	trace  model.TraceID
	span   model.SpanID
	start  int64
	kind   model.SpanKind
	name   string
	source *model.Resource
}

type logKey struct {
	time int64
	seq  uint64
	body string
	span model.SpanID
	svc  string
}

type exemplarKey struct {
	time  int64
	value float64
	trace model.TraceID
	span  model.SpanID
	name  string
}

func newWalk(f *Finder, t tenant.ID, spec *model.KeySpec, req Request) *walk {
	limit := req.Limit
	if limit <= 0 {
		limit = f.opts.MaxRows
	}
	if most := mostRows * f.opts.MaxRows; limit > most {
		limit = most
	}
	return &walk{f: f, t: t, spec: spec, id: req.ID, limit: limit, stats: &model.QueryStats{},
		asked: map[model.CorrelationKey]bool{}, aliases: map[model.CorrelationKey]bool{},
		spans: map[spanKey]*model.SpanRow{}, logs: map[logKey]*model.LogRow{}, exemplars: map[exemplarKey]*model.ExemplarRow{}}
}

// mostRows is how many times the usual number of rows a caller may ask for: a
// trace of a hundred thousand spans can be opened by who says so.
const mostRows = 20

// found is what one key led to.
type found struct {
	spans     []model.SpanRow
	logs      []model.LogRow
	exemplars []model.ExemplarRow
	full      bool // a limit was reached
}

// start asks for every reading of the text and notes what kinds answered.
func (w *walk) start(ctx context.Context, req Request) error {
	for _, key := range readings(req.ID, req.Kind) {
		got, err := w.ask(ctx, key)
		if err != nil {
			return err
		}
		before := len(w.kinds)
		w.noteKinds(got, key)
		if len(w.kinds) > before {
			w.keep(got)
		}
	}
	return nil
}

// noteKinds records under which kinds the found records carry the id.
func (w *walk) noteKinds(got *found, key model.CorrelationKey) {
	note := func(k model.CorrelationKey) {
		if k.ID != key.ID || key.Kind != "" && k.Kind != key.Kind {
			return
		}
		for _, have := range w.kinds {
			if have == k {
				return
			}
		}
		w.kinds = append(w.kinds, k)
		w.asked[k] = true
	}
	for i := range got.spans {
		predicate.EachSpanKey(w.spec, &got.spans[i], note)
	}
	for i := range got.logs {
		predicate.EachLogKey(w.spec, &got.logs[i], note)
	}
	for i := range got.exemplars {
		predicate.EachExemplarKey(w.spec, &got.exemplars[i], note)
	}
}

func (w *walk) foundAny() bool { return len(w.kinds) > 0 }

// many reports whether the id stands for several requests: it was found only
// under kinds that are not followed, in more than one trace.
func (w *walk) many() bool {
	for _, k := range w.kinds {
		if followed(k.Kind) {
			return false
		}
	}
	requests := map[requestKey]bool{}
	for _, s := range w.spans {
		requests[requestKey{trace: s.TraceID}] = true
	}
	for _, l := range w.logs {
		if key, _, ok := requestOf(w.spec, l); ok {
			requests[key] = true
		}
	}
	return len(requests) > 1
}

// ask looks one key up in all three signals at once.
func (w *walk) ask(ctx context.Context, key model.CorrelationKey) (*found, error) {
	w.asked[key] = true
	var got found
	g, ctx := errgroup.WithContext(ctx)
	var spansFull, logsFull bool
	g.Go(func() (err error) { got.spans, spansFull, err = w.askSpans(ctx, key); return err })
	g.Go(func() (err error) { got.logs, logsFull, err = w.askLogs(ctx, key); return err })
	g.Go(func() (err error) { got.exemplars, err = w.askExemplars(ctx, key); return err })
	err := g.Wait()
	got.full = spansFull || logsFull
	return &got, err
}

func (w *walk) askSpans(ctx context.Context, key model.CorrelationKey) (out []model.SpanRow, full bool, err error) {
	if key.Kind == model.KeyTrace {
		id, _ := model.ParseTraceID(key.ID)
		for batch, err := range w.f.opts.Traces.Trace(ctx, w.t, id, w.stats) {
			if err != nil {
				return nil, false, fmt.Errorf("cannot read trace %s: %w", key.ID, err)
			}
			if out = append(out, batch...); len(out) >= w.limit {
				return out[:w.limit], true, nil
			}
		}
	}
	q := &predicate.SpanQuery{Tenant: w.t, Filters: []predicate.Expr{predicate.Correlated(key)}, Stats: w.stats}
	for match, err := range w.f.opts.Traces.SelectSpans(ctx, q) {
		if err != nil {
			return nil, false, fmt.Errorf("cannot look up %s %q in spans: %w", key.Kind, key.ID, err)
		}
		if out = append(out, match.Spans...); len(out) >= w.limit {
			return out[:w.limit], true, nil
		}
	}
	return out, false, nil
}

func (w *walk) askLogs(ctx context.Context, key model.CorrelationKey) (out []model.LogRow, full bool, err error) {
	q := &predicate.LogQuery{Tenant: w.t, Filter: predicate.Correlated(key), Order: predicate.OldestFirst, Limit: w.limit, Stats: w.stats}
	for batch, err := range w.f.opts.Logs.SelectLogs(ctx, q) {
		if err != nil {
			return nil, false, fmt.Errorf("cannot look up %s %q in logs: %w", key.Kind, key.ID, err)
		}
		out = append(out, batch...)
	}
	return out, len(out) >= w.limit, nil
}

func (w *walk) askExemplars(ctx context.Context, key model.CorrelationKey) (out []model.ExemplarRow, err error) {
	q := &query.ExemplarQuery{Tenant: w.t, Kind: key.Kind, ID: key.ID, Limit: w.limit, Stats: w.stats}
	for batch, err := range w.f.opts.Metrics.Exemplars(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("cannot look up %s %q in exemplars: %w", key.Kind, key.ID, err)
		}
		out = append(out, batch...)
	}
	return out, nil
}

// keep adds found records and queues the ids that they name.
func (w *walk) keep(got *found) {
	if got.full {
		gap := Gap{Kind: "limit", Message: fmt.Sprintf("only the first %d spans and log records are shown", w.limit)}
		if !slices.Contains(w.gaps, gap) {
			w.gaps = append(w.gaps, gap)
		}
	}
	for i := range got.spans {
		s := &got.spans[i]
		w.spans[spanKey{s.TraceID, s.SpanID, s.Start, s.Kind, s.Name, nil}] = s
		predicate.EachSpanKey(w.spec, s, w.enqueue)
	}
	for i := range got.logs {
		l := &got.logs[i]
		w.logs[logKey{l.Time, l.Seq, l.Body.Text(), l.SpanID, l.Resource.Service()}] = l
		predicate.EachLogKey(w.spec, l, w.enqueue)
	}
	for i := range got.exemplars {
		e := &got.exemplars[i]
		w.exemplars[exemplarKey{e.Time, e.Value, e.TraceID, e.SpanID, seriesKey(e.Series)}] = e
		predicate.EachExemplarKey(w.spec, e, w.enqueue)
	}
}

func seriesKey(ls []model.Label) string {
	var b []byte
	for _, l := range ls {
		b = append(append(append(append(b, l.Name...), 0xff), l.Value...), 0xff)
	}
	return string(b)
}

func (w *walk) enqueue(k model.CorrelationKey) {
	if !w.asked[k] && !w.isKind(k) {
		w.aliases[k] = true
	}
	if !followed(k.Kind) || w.asked[k] {
		return
	}
	w.asked[k] = true
	w.queue = append(w.queue, k)
}

func (w *walk) isKind(k model.CorrelationKey) bool {
	for _, have := range w.kinds {
		if have == k {
			return true
		}
	}
	return false
}

// follow asks for every id that was named, until none is left or the bound is
// reached, which is said.
func (w *walk) follow(ctx context.Context) error {
	for n := 0; len(w.queue) > 0; n++ {
		if n == w.f.opts.MaxKeys {
			w.gaps = append(w.gaps, Gap{Kind: "limit", Message: fmt.Sprintf("%d ids were followed; %d more that they name were not", n, len(w.queue))})
			return nil
		}
		key := w.queue[0]
		w.queue = w.queue[1:]
		got, err := w.ask(ctx, key)
		if err != nil {
			return err
		}
		w.keep(got)
	}
	return nil
}

func (w *walk) sortedSpans() []model.SpanRow {
	out := make([]model.SpanRow, 0, len(w.spans))
	for _, s := range w.spans {
		out = append(out, *s)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if a.Start != b.Start {
			return a.Start < b.Start
		}
		if a.TraceID != b.TraceID {
			return string(a.TraceID[:]) < string(b.TraceID[:])
		}
		return string(a.SpanID[:]) < string(b.SpanID[:])
	})
	return out
}

func (w *walk) sortedLogs() []model.LogRow {
	out := make([]model.LogRow, 0, len(w.logs))
	for _, l := range w.logs {
		out = append(out, *l)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Time != out[j].Time {
			return out[i].Time < out[j].Time
		}
		return out[i].Seq < out[j].Seq
	})
	return out
}

func (w *walk) sortedExemplars() []model.ExemplarRow {
	out := make([]model.ExemplarRow, 0, len(w.exemplars))
	for _, e := range w.exemplars {
		out = append(out, *e)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Time != out[j].Time {
			return out[i].Time < out[j].Time
		}
		return seriesKey(out[i].Series) < seriesKey(out[j].Series)
	})
	return out
}
