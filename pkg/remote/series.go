package remote

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
	storev1 "braid/proto/braid/store/v1"
)

// seriesQuestion asks for series, label names or label values. Times are Unix
// milliseconds, inclusive. Series travel as their XOR and histogram chunks, not
// as samples.
type seriesQuestion struct {
	MinT, MaxT int64
	Name       string // of LabelValues
	Matchers   []predicate.LabelMatcher
	Limit      int
	Hints      *storage.SelectHints
}

func toMatchers(list []predicate.LabelMatcher) ([]*labels.Matcher, error) {
	types := map[string]labels.MatchType{"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp}
	var out []*labels.Matcher
	for _, m := range list {
		typ, ok := types[m.Op]
		if !ok {
			return nil, fmt.Errorf("%w: matcher operator %q", model.ErrInvalid, m.Op)
		}
		lm, err := labels.NewMatcher(typ, m.Name, m.Value)
		if err != nil {
			return nil, fmt.Errorf("%w: matcher on %q: %w", model.ErrInvalid, m.Name, err)
		}
		out = append(out, lm)
	}
	return out, nil
}

func fromMatchers(list []*labels.Matcher) []predicate.LabelMatcher {
	var out []predicate.LabelMatcher
	for _, m := range list {
		out = append(out, predicate.LabelMatcher{Name: m.Name, Op: m.Type.String(), Value: m.Value})
	}
	return out
}

// seriesPart is how many bytes of series are sent together.
const seriesPart = 1 << 20

func (s *server) SelectSeries(q *storev1.Question, out stream) error {
	return s.withSeries(q, out, func(ctx context.Context, d *seriesQuestion, qr storage.ChunkQuerier, ms []*labels.Matcher, stats *model.QueryStats, send func([]byte) error) error {
		set := qr.Select(ctx, true, d.Hints, ms...)
		var buf []byte
		var it chunks.Iterator
		for set.Next() {
			series := set.At()
			it = series.Iterator(it)
			var err error
			if buf, err = putSeries(buf, series.Labels(), it); err != nil {
				return err
			}
			if len(buf) >= seriesPart {
				if err := send(buf); err != nil {
					return err
				}
				stats.AddBytes(int64(len(buf)))
				buf = nil
			}
		}
		if err := set.Err(); err != nil {
			return err
		}
		warn(stats, set.Warnings())
		if len(buf) == 0 {
			return nil
		}
		stats.AddBytes(int64(len(buf)))
		return send(buf)
	})
}

// withSeries reads the question and opens the tenant's chunk querier.
func (s *server) withSeries(q *storev1.Question, out stream, do func(context.Context, *seriesQuestion, storage.ChunkQuerier, []*labels.Matcher, *model.QueryStats, func([]byte) error) error) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		var d seriesQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		ms, err := toMatchers(d.Matchers)
		if err != nil {
			return err
		}
		qr, err := s.src.Metrics.Queryable(t).ChunkQuerier(d.MinT, d.MaxT)
		if err != nil {
			return err
		}
		defer func() { _ = qr.Close() }()
		return do(ctx, &d, qr, ms, stats, send)
	})
}

func warn(stats *model.QueryStats, ws annotations.Annotations) {
	for _, w := range ws.AsErrors() {
		stats.Warn("%v", w)
	}
}

func (s *server) LabelNames(q *storev1.Question, out stream) error {
	return s.withSeries(q, out, func(ctx context.Context, d *seriesQuestion, qr storage.ChunkQuerier, ms []*labels.Matcher, stats *model.QueryStats, send func([]byte) error) error {
		names, ws, err := qr.LabelNames(ctx, &storage.LabelHints{Limit: d.Limit}, ms...)
		return sendStrings(names, ws, err, stats, send)
	})
}

func (s *server) LabelValues(q *storev1.Question, out stream) error {
	return s.withSeries(q, out, func(ctx context.Context, d *seriesQuestion, qr storage.ChunkQuerier, ms []*labels.Matcher, stats *model.QueryStats, send func([]byte) error) error {
		values, ws, err := qr.LabelValues(ctx, d.Name, &storage.LabelHints{Limit: d.Limit}, ms...)
		return sendStrings(values, ws, err, stats, send)
	})
}

func sendStrings(list []string, ws annotations.Annotations, err error, stats *model.QueryStats, send func([]byte) error) error {
	if err != nil {
		return err
	}
	warn(stats, ws)
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return send(data)
}

// putSeries appends: labels (count, then name and value), then chunks (1,
// encoding, first and last time, bytes), then 0. A series without chunks in the
// range appends nothing: a series of no chunks is none to Prometheus's readers.
func putSeries(b []byte, ls labels.Labels, it chunks.Iterator) ([]byte, error) {
	start, empty := len(b), true
	b = binary.AppendUvarint(b, uint64(ls.Len()))
	ls.Range(func(l labels.Label) { b = putString(putString(b, l.Name), l.Value) })
	for it.Next() {
		c := it.At()
		empty = false
		b = append(b, 1, byte(c.Chunk.Encoding()))
		b = binary.AppendVarint(binary.AppendVarint(b, c.MinTime), c.MaxTime)
		data := c.Chunk.Bytes()
		b = append(binary.AppendUvarint(b, uint64(len(data))), data...)
	}
	if empty {
		return b[:start], it.Err()
	}
	return append(b, 0), it.Err()
}

func decodeSeries(data []byte) ([]storage.ChunkSeries, error) {
	var out []storage.ChunkSeries
	r := &reader{b: data}
	lb := labels.NewScratchBuilder(16)
	for len(r.b) > 0 && r.err == nil {
		lb.Reset()
		for range r.count(2) {
			name := r.string()
			lb.Add(name, r.string())
		}
		var list []chunks.Meta
		for {
			more := r.bytes(1)
			if len(more) == 0 || more[0] == 0 {
				break
			}
			c, err := r.chunk()
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
		out = append(out, &storage.ChunkSeriesEntry{Lset: lb.Labels(), ChunkIteratorFn: func(chunks.Iterator) chunks.Iterator {
			return storage.NewListChunkSeriesIterator(list...)
		}})
	}
	return out, r.err
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) chunk() (chunks.Meta, error) {
	enc := r.bytes(1)
	m := chunks.Meta{MinTime: r.varint(), MaxTime: r.varint()}
	data := r.bytes(r.count(1))
	if r.err != nil {
		return m, r.err
	}
	c, err := chunkenc.FromData(chunkenc.Encoding(enc[0]), data)
	if err != nil {
		return m, fmt.Errorf("cannot read a chunk from a remote source: %w", err)
	}
	m.Chunk = c
	return m, nil
}

// Queryable implements query.MetricSource.
func (c *Client) Queryable(t tenant.ID) storage.SampleAndChunkQueryable { return &queryable{c, t} }

type queryable struct {
	c *Client
	t tenant.ID
}

func (q *queryable) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{chunkQuerier{q.c, q.t, mint, maxt}}, nil
}

func (q *queryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return &chunkQuerier{q.c, q.t, mint, maxt}, nil
}

type chunkQuerier struct {
	c          *Client
	t          tenant.ID
	mint, maxt int64
}

type querier struct{ chunkQuerier }

func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return storage.NewSeriesSetFromChunkSeriesSet(q.chunkQuerier.Select(ctx, sorted, hints, ms...))
}

func (q *chunkQuerier) question(name string, limit int, hints *storage.SelectHints, ms []*labels.Matcher) ([]byte, error) {
	return json.Marshal(seriesQuestion{MinT: q.mint, MaxT: q.maxt, Name: name, Matchers: fromMatchers(ms), Limit: limit, Hints: hints})
}

// Select always yields sorted series: the server sorts.
func (q *chunkQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	stats := &model.QueryStats{}
	body, err := q.question("", 0, hints, ms)
	next, stop := iter.Pull2(rows(ctx, q.c.store.SelectSeries, q.t, body, err, stats, decodeSeries))
	return &seriesSet{next: next, stop: stop, stats: stats}
}

func (q *chunkQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.strings(ctx, q.c.store.LabelValues, name, hints, ms)
}

func (q *chunkQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.strings(ctx, q.c.store.LabelNames, "", hints, ms)
}

func (q *chunkQuerier) strings(ctx context.Context, do call, name string, hints *storage.LabelHints, ms []*labels.Matcher) ([]string, annotations.Annotations, error) {
	limit := 0
	if hints != nil {
		limit = hints.Limit
	}
	body, err := q.question(name, limit, nil, ms)
	if err != nil {
		return nil, nil, err
	}
	stats := &model.QueryStats{}
	data, err := one(ctx, do, q.t, body, stats)
	if err != nil {
		return nil, nil, err
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, nil, fmt.Errorf("cannot read labels from a remote source: %w", err)
	}
	return list, warnings(stats), nil
}

func (q *chunkQuerier) Close() error { return nil }

func warnings(stats *model.QueryStats) annotations.Annotations {
	out := annotations.Annotations{}
	for _, w := range stats.Warnings() {
		out.Add(fmt.Errorf("%s", w))
	}
	return out
}

// seriesSet walks the batches of an answer.
type seriesSet struct {
	next  func() ([]storage.ChunkSeries, error, bool)
	stop  func()
	stats *model.QueryStats
	batch []storage.ChunkSeries
	err   error
	done  bool
}

func (s *seriesSet) Next() bool {
	if len(s.batch) > 0 {
		s.batch = s.batch[1:]
	}
	for len(s.batch) == 0 && !s.done {
		batch, err, ok := s.next()
		if !ok || err != nil {
			s.done, s.err = true, err
			s.stop()
			return false
		}
		s.batch = batch
	}
	return len(s.batch) > 0
}

func (s *seriesSet) At() storage.ChunkSeries           { return s.batch[0] }
func (s *seriesSet) Err() error                        { return s.err }
func (s *seriesSet) Warnings() annotations.Annotations { return warnings(s.stats) }

type exemplarRow struct {
	Series []model.Label
	Time   int64
	Value  uint64 // float bits
	Trace  string `json:",omitempty"`
	Span   string `json:",omitempty"`
	Attrs  []byte
}

func (s *server) Exemplars(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		var d exemplarQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		eq := &query.ExemplarQuery{Tenant: t, Range: d.Range, Series: d.Series, Kind: d.Kind, ID: d.ID, Limit: d.Limit, Stats: stats}
		for list, err := range s.src.Metrics.Exemplars(ctx, eq) {
			if err != nil {
				return err
			}
			part := make([]exemplarRow, len(list))
			for i := range list {
				e := &list[i]
				part[i] = exemplarRow{e.Series, e.Time, math.Float64bits(e.Value), e.TraceID.String(), e.SpanID.String(), putAttrs(nil, e.Attrs)}
			}
			data, err := json.Marshal(part)
			if err != nil {
				return err
			}
			if err := send(data); err != nil {
				return err
			}
		}
		return nil
	})
}

// Exemplars implements query.MetricSource.
func (c *Client) Exemplars(ctx context.Context, q *query.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	body, err := json.Marshal(exemplarQuestion{q.Range, slices.Clone(q.Series), q.Kind, q.ID, q.Limit})
	return rows(ctx, c.store.Exemplars, q.Tenant, body, err, q.Stats, decodeExemplars)
}

func decodeExemplars(data []byte) ([]model.ExemplarRow, error) {
	var in []exemplarRow
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("cannot read exemplars from a remote source: %w", err)
	}
	out := make([]model.ExemplarRow, len(in))
	for i, e := range in {
		out[i].Series, out[i].Time, out[i].Value = e.Series, e.Time, math.Float64frombits(e.Value)
		out[i].TraceID, _ = model.ParseTraceID(e.Trace)
		out[i].SpanID, _ = model.ParseSpanID(e.Span)
		r := &reader{b: e.Attrs}
		out[i].Attrs = r.attrs()
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}
