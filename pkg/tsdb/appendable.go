package tsdb

import (
	"context"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Appendable lets code written for Prometheus (scraping, recording rules) write
// a tenant's series. Samples are gathered and appended at Commit, the way remote
// write is; they are not in the ingest log, and durable with the next sync.
func (s *Store) Appendable(id tenant.ID) *Appendable { return &Appendable{s, id} }

// Appendable implements storage.Appendable and storage.AppendableV2.
type Appendable struct {
	s  *Store
	id tenant.ID
}

var (
	_ storage.Appendable   = (*Appendable)(nil)
	_ storage.AppendableV2 = (*Appendable)(nil)
)

// Appender returns an appender of the first kind.
func (a *Appendable) Appender(ctx context.Context) storage.Appender {
	return &gatherer{ctx: ctx, to: a, at: map[uint64]int{}}
}

// AppenderV2 returns an appender of the second kind.
func (a *Appendable) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return gathererV2{&gatherer{ctx: ctx, to: a, at: map[uint64]int{}}}
}

// gatherer collects a transaction. It never returns a reference: the store has
// a cache of its own.
type gatherer struct {
	ctx context.Context
	to  *Appendable
	req writeRequest
	at  map[uint64]int // hash of the labels -> index in req.series
}

func (g *gatherer) series(ls labels.Labels) *writeSeries {
	hash := ls.Hash()
	if i, ok := g.at[hash]; ok && labels.Equal(labels.New(g.req.series[i].labels...), ls) {
		return &g.req.series[i]
	}
	s := writeSeries{}
	ls.Range(func(l labels.Label) { s.labels = append(s.labels, l) })
	g.at[hash] = len(g.req.series)
	g.req.series = append(g.req.series, s)
	return &g.req.series[len(g.req.series)-1]
}

// Append notes a sample.
func (g *gatherer) Append(_ storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	s := g.series(ls)
	s.samples = append(s.samples, writeSample{t: t, v: v})
	return 0, nil
}

// AppendHistogram notes a native histogram.
func (g *gatherer) AppendHistogram(_ storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	s := g.series(ls)
	s.histograms = append(s.histograms, writeHistogram{t: t, h: h, fh: fh})
	return 0, nil
}

// AppendExemplar notes an exemplar.
func (g *gatherer) AppendExemplar(_ storage.SeriesRef, ls labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	s := g.series(ls)
	s.exemplars = append(s.exemplars, modelExemplar(e))
	return 0, nil
}

func modelExemplar(e exemplar.Exemplar) model.Exemplar {
	out := model.Exemplar{Value: e.Value}
	if e.HasTs {
		out.Time = nanos(e.Ts)
	}
	e.Labels.Range(func(l labels.Label) { addExemplarLabel(&out, l.Name, l.Value) })
	return out
}

// UpdateMetadata notes what a metric is.
func (g *gatherer) UpdateMetadata(_ storage.SeriesRef, ls labels.Labels, m metadata.Metadata) (storage.SeriesRef, error) {
	g.meta(ls, m)
	return 0, nil
}

func (g *gatherer) meta(ls labels.Labels, m metadata.Metadata) {
	if m.IsEmpty() {
		return
	}
	g.req.meta = append(g.req.meta, metaLine{familyName(ls.Get(labels.MetricName), m.Type), string(m.Type), m.Help, m.Unit})
}

// AppendSTZeroSample leaves the zero sample out: the second kind brings start
// times with the samples.
func (g *gatherer) AppendSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64) (storage.SeriesRef, error) {
	return 0, nil
}

// AppendHistogramSTZeroSample is AppendSTZeroSample for histograms.
func (g *gatherer) AppendHistogramSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64, *histogram.Histogram, *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return 0, nil
}

// SetOptions is for appenders that know options; this one knows none.
func (g *gatherer) SetOptions(*storage.AppendOptions) {}

// Commit appends what was noted. Samples that cannot be taken are counted in
// the store's metrics; the rest is.
func (g *gatherer) Commit() error {
	if len(g.req.series) == 0 {
		return nil
	}
	t, err := g.to.s.tenant(g.to.id)
	if err != nil {
		return err
	}
	_, rej, err := t.appendWrite(g.ctx, &g.req)
	t.pos.end(0, err == nil)
	if rej.Count > 0 {
		g.to.s.opts.Logger.Debug("samples were not taken", "tenant", string(g.to.id), "count", rej.Count, "why", rej.Message())
	}
	return err
}

// Rollback forgets what was noted.
func (g *gatherer) Rollback() error {
	g.req = writeRequest{}
	return nil
}

type gathererV2 struct{ *gatherer }

// Append notes a sample of any kind with its start time, exemplars and metadata.
func (g gathererV2) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	s := g.series(ls)
	if h != nil || fh != nil {
		s.histograms = append(s.histograms, writeHistogram{st: st, t: t, h: h, fh: fh})
	} else {
		s.samples = append(s.samples, writeSample{st: st, t: t, v: v})
	}
	for _, e := range o.Exemplars {
		s.exemplars = append(s.exemplars, modelExemplar(e))
	}
	g.meta(ls, o.Metadata)
	return 0, nil
}
