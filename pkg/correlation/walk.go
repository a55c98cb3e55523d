package correlation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

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
	emit  func(Part) error // may be nil

	mu      sync.Mutex // guards all below while sources answer
	asked   map[model.CorrelationKey]bool
	queue   []model.CorrelationKey
	kinds   []model.CorrelationKey
	aliases map[model.CorrelationKey]bool

	spans     map[spanKey]sent[model.SpanRow]
	logs      map[logKey]sent[model.LogRow]
	exemplars map[exemplarKey]sent[model.ExemplarRow]
	requests  []RequestSummary
	gaps      []Gap
}

// sent is a row of the whole and its place among the rows of its signal in the
// order in which they were found, and emitted.
type sent[T any] struct {
	row   *T
	place int
}

// Part is one thing that was found: one of the three is set.
type Part struct {
	Span     *model.SpanRow
	Log      *model.LogRow
	Exemplar *model.ExemplarRow
}

// eachKey yields the ids that a part carries.
func (p Part) eachKey(spec *model.KeySpec, yield func(model.CorrelationKey)) {
	switch {
	case p.Span != nil:
		predicate.EachSpanKey(spec, p.Span, yield)
	case p.Log != nil:
		predicate.EachLogKey(spec, p.Log, yield)
	case p.Exemplar != nil:
		predicate.EachExemplarKey(spec, p.Exemplar, yield)
	}
}

type spanKey struct {
	trace model.TraceID
	span  model.SpanID
	start int64
	kind  model.SpanKind
	name  string
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
		spans: map[spanKey]sent[model.SpanRow]{}, logs: map[logKey]sent[model.LogRow]{}, exemplars: map[exemplarKey]sent[model.ExemplarRow]{}}
}

// mostRows is how many times the usual number of rows a caller may ask for: a
// trace of a hundred thousand spans can be opened by who says so.
const mostRows = 20

// question is one key asked of all signals.
type question struct {
	key model.CorrelationKey
	// belongs: what answers is of the whole. Of a reading of the text that is known
	// once a row shows a kind of id that no reading before it had shown.
	reading, belongs bool
	waiting          []Part // rows until then
}

// start asks for every reading of the text and notes what kinds answered.
func (w *walk) start(ctx context.Context, req Request) error {
	for _, key := range readings(req.ID, req.Kind) {
		before := len(w.kinds)
		if err := w.ask(ctx, &question{key: key, reading: true}); err != nil {
			return err
		}
		// Which source answered first is chance.
		slices.SortFunc(w.kinds[before:], func(a, b model.CorrelationKey) int { return strings.Compare(a.Kind, b.Kind) })
	}
	return nil
}

// noteKind records a kind under which a row carries the id that was asked for.
func (w *walk) noteKind(q *question, k model.CorrelationKey) {
	if k.ID != q.key.ID || q.key.Kind != "" && k.Kind != q.key.Kind || w.isKind(k) {
		return
	}
	w.kinds = append(w.kinds, k)
	w.asked[k] = true
	q.belongs = true
}

// take adds a row that answers a question, and queues the ids that it names.
func (w *walk) take(q *question, p Part) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.reading {
		p.eachKey(w.spec, func(k model.CorrelationKey) { w.noteKind(q, k) })
	}
	if !q.belongs {
		q.waiting = append(q.waiting, p)
		return nil
	}
	for _, before := range q.waiting {
		if err := w.keep(before); err != nil {
			return err
		}
	}
	q.waiting = nil
	return w.keep(p)
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
		requests[requestKey{trace: s.row.TraceID}] = true
	}
	for _, l := range w.logs {
		if key, _, ok := requestOf(w.spec, l.row); ok {
			requests[key] = true
		}
	}
	return len(requests) > 1
}

// ask looks one key up in all three signals at once. Rows are taken as they come.
func (w *walk) ask(ctx context.Context, q *question) error {
	w.asked[q.key] = true
	queued := len(w.queue)
	g, ctx := errgroup.WithContext(ctx)
	var spansFull, logsFull bool
	g.Go(func() (err error) { spansFull, err = w.askSpans(ctx, q); return err })
	g.Go(func() (err error) { logsFull, err = w.askLogs(ctx, q); return err })
	g.Go(func() error { return w.askExemplars(ctx, q) })
	if err := g.Wait(); err != nil {
		return err
	}
	// Which source answered first is chance: it must not decide what is followed.
	slices.SortFunc(w.queue[queued:], func(a, b model.CorrelationKey) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID))
	})
	if gap := (Gap{Kind: "limit", Message: fmt.Sprintf("only the first %d spans and log records are shown", w.limit)}); q.belongs && (spansFull || logsFull) && !slices.Contains(w.gaps, gap) {
		w.gaps = append(w.gaps, gap)
	}
	return nil
}

func (w *walk) askSpans(ctx context.Context, q *question) (full bool, err error) {
	left := w.limit
	take := func(rows []model.SpanRow) error {
		for i := range rows {
			if left == 0 {
				return nil
			}
			left--
			row := rows[i]
			if err := w.take(q, Part{Span: &row}); err != nil {
				return err
			}
		}
		return nil
	}
	if q.key.Kind == model.KeyTrace {
		id, _ := model.ParseTraceID(q.key.ID)
		for batch, err := range w.f.opts.Traces.Trace(ctx, w.t, id, w.stats) {
			if err != nil {
				return false, fmt.Errorf("cannot read trace %s: %w", q.key.ID, err)
			}
			if err := take(batch); err != nil || left == 0 {
				return true, err
			}
		}
	}
	sq := &predicate.SpanQuery{Tenant: w.t, Filters: []predicate.Expr{predicate.Correlated(q.key)}, Stats: w.stats}
	for match, err := range w.f.opts.Traces.SelectSpans(ctx, sq) {
		if err != nil {
			return false, fmt.Errorf("cannot look up %s %q in spans: %w", q.key.Kind, q.key.ID, err)
		}
		if err := take(match.Spans); err != nil || left == 0 {
			return true, err
		}
	}
	return false, nil
}

func (w *walk) askLogs(ctx context.Context, q *question) (full bool, err error) {
	n := 0
	lq := &predicate.LogQuery{Tenant: w.t, Filter: predicate.Correlated(q.key), Order: predicate.OldestFirst, Limit: w.limit, Stats: w.stats}
	for batch, err := range w.f.opts.Logs.SelectLogs(ctx, lq) {
		if err != nil {
			return false, fmt.Errorf("cannot look up %s %q in logs: %w", q.key.Kind, q.key.ID, err)
		}
		n += len(batch)
		for i := range batch {
			row := batch[i]
			if err := w.take(q, Part{Log: &row}); err != nil {
				return false, err
			}
		}
	}
	return n >= w.limit, nil
}

func (w *walk) askExemplars(ctx context.Context, q *question) error {
	eq := &query.ExemplarQuery{Tenant: w.t, Kind: q.key.Kind, ID: q.key.ID, Limit: w.limit, Stats: w.stats}
	for batch, err := range w.f.opts.Metrics.Exemplars(ctx, eq) {
		if err != nil {
			return fmt.Errorf("cannot look up %s %q in exemplars: %w", q.key.Kind, q.key.ID, err)
		}
		for i := range batch {
			row := batch[i]
			if err := w.take(q, Part{Exemplar: &row}); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep adds a row to the whole, emits it unless it is there already, and queues
// the ids that it names.
func (w *walk) keep(p Part) error {
	added := false
	switch {
	case p.Span != nil:
		added = keepRow(w.spans, spanKeyOf(p.Span), p.Span)
	case p.Log != nil:
		added = keepRow(w.logs, logKeyOf(p.Log), p.Log)
	case p.Exemplar != nil:
		added = keepRow(w.exemplars, exemplarKeyOf(p.Exemplar), p.Exemplar)
	}
	p.eachKey(w.spec, w.enqueue)
	if added && w.emit != nil {
		return w.emit(p)
	}
	return nil
}

func keepRow[K comparable, T any](rows map[K]sent[T], key K, row *T) (added bool) {
	if _, have := rows[key]; have {
		return false
	}
	rows[key] = sent[T]{row, len(rows)}
	return true
}

func spanKeyOf(s *model.SpanRow) spanKey {
	return spanKey{s.TraceID, s.SpanID, s.Start, s.Kind, s.Name}
}

func logKeyOf(l *model.LogRow) logKey {
	return logKey{l.Time, l.Seq, l.Body.Text(), l.SpanID, l.Resource.Service()}
}

func exemplarKeyOf(e *model.ExemplarRow) exemplarKey {
	return exemplarKey{e.Time, e.Value, e.TraceID, e.SpanID, seriesKey(e.Series)}
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
		if err := w.ask(ctx, &question{key: key, belongs: true}); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) sortedSpans() []model.SpanRow {
	out := make([]model.SpanRow, 0, len(w.spans))
	for _, s := range w.spans {
		out = append(out, *s.row)
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
		out = append(out, *l.row)
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
		out = append(out, *e.row)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Time != out[j].Time {
			return out[i].Time < out[j].Time
		}
		return seriesKey(out[i].Series) < seriesKey(out[j].Series)
	})
	return out
}
