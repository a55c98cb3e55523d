package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// WriteStats counts what a remote-write request stored.
type WriteStats struct {
	Samples, Histograms, Exemplars int
}

// AppendRemoteWrite takes a remote-write message, decompressed, of protocol
// version 1 or 2, by the rules of AppendMetrics. A message that cannot be
// decoded is an error that wraps model.ErrInvalid.
func (s *Store) AppendRemoteWrite(ctx context.Context, id tenant.ID, pos model.Position, version int, body []byte) (WriteStats, model.Rejections, error) {
	if s.held(pos) {
		return WriteStats{}, model.Rejections{}, nil
	}
	req, err := decodeWrite(version, body)
	if err != nil {
		return WriteStats{}, model.Rejections{}, fmt.Errorf("%w: remote-write message of version %d: %w", model.ErrInvalid, version, err)
	}
	defer req.release()
	t, err := s.tenant(id)
	if err != nil {
		return WriteStats{}, model.Rejections{}, err
	}
	t.pos.begin(pos)
	stats, rej, err := t.appendWrite(ctx, req)
	t.pos.end(pos, err == nil)
	return stats, rej, err
}

// writeRequest is a remote-write message of either version.
type writeRequest struct {
	series []writeSeries
	meta   []metaLine
	rej    model.Rejections // what could not even be decoded
	// decoder owns the slices, nil when nobody wants them back.
	decoder *writeDecoder
}

type writeSeries struct {
	labels     []labels.Label
	samples    []writeSample
	histograms []writeHistogram
	exemplars  []model.Exemplar
	shard      int
}

type writeSample struct {
	st, t int64
	v     float64
}

type writeHistogram struct {
	st, t int64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

func (s *writeSeries) label(name string) string {
	for i := range s.labels {
		if s.labels[i].Name == name {
			return s.labels[i].Value
		}
	}
	return ""
}

func (s *writeSeries) count() int64 { return int64(len(s.samples) + len(s.histograms)) }

func (t *tenantDB) appendWrite(ctx context.Context, req *writeRequest) (WriteStats, model.Rejections, error) {
	x := newTxn(t)
	defer x.release()
	x.rej.Merge(req.rej)
	var shards uint64
	for i := range req.series {
		s := &req.series[i]
		s.shard = shardOf(s.label(labelJob), s.label(labelInstance))
		shards |= 1 << s.shard
	}
	x.lock(shards, false)
	var stats WriteStats
	err := x.run(ctx, func() error { return x.addSeries(ctx, req, &stats) })
	x.unlock()
	if err != nil {
		return WriteStats{}, model.Rejections{}, err
	}
	for _, m := range req.meta {
		if err := t.meta.note(m.Name, model.MetricMeta{Type: m.Type, Help: m.Help, Unit: m.Unit}); err != nil {
			return stats, x.rej, err
		}
	}
	t.m.samples.Add(float64(x.sampled))
	stats.Exemplars = len(x.offers)
	x.addExemplars()
	return stats, x.rej, nil
}

func (x *txn) addSeries(ctx context.Context, req *writeRequest, stats *WriteStats) error {
	for i := range req.series {
		if i%stepsPerCheck == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		x.addWritten(&req.series[i], stats)
	}
	return ctx.Err()
}

// addWritten appends the samples of one series.
func (x *txn) addWritten(s *writeSeries, stats *WriteStats) {
	x.h.reset()
	for i := range s.labels {
		x.h.text(s.labels[i].Name)
		x.h.text(s.labels[i].Value)
	}
	id := x.h.sum()
	cache := x.t.shards[s.shard].cache
	w := writing{x: x, s: s}
	span, refs, hit := cache.get(id)
	if hit {
		w.ref = storage.SeriesRef(refs[0])
	} else if err := w.build(); err != nil {
		x.rejectWritten(s, s.count(), err)
		return
	}
	start := span.start
	for _, smp := range s.samples {
		if err := w.append(smp.st, smp.t, smp.v, nil, nil, &start); err != nil {
			x.rejectWritten(s, 1, err)
			continue
		}
		stats.Samples++
	}
	for _, smp := range s.histograms {
		if err := w.append(smp.st, smp.t, 0, smp.h, smp.fh, &start); err != nil {
			x.rejectWritten(s, 1, err)
			continue
		}
		stats.Histograms++
	}
	if w.ref == 0 {
		return
	}
	if w.fresh || start != span.start {
		cache.put(id, []uint64{uint64(w.ref)}, start, 0)
	}
	w.offer()
}

// writing is a series while its samples are appended.
type writing struct {
	x     *txn
	s     *writeSeries
	ref   storage.SeriesRef
	ls    labels.Labels // built when the reference is not known
	fresh bool
}

func (w *writing) append(st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, start *int64) error {
	if err := w.x.checkMillis(t); err != nil {
		return err
	}
	if err := reduce(h, fh); err != nil {
		return err
	}
	if st != 0 {
		st = w.x.usefulStart(st, t)
	}
	if seen := *start; st != 0 {
		if *start = st; st == seen && !w.x.t.opts.StoreStartTimes {
			st = 0
		}
	}
	ref, err := w.x.app.Append(w.ref, w.ls, st, t, v, h, fh, storage.AOptions{})
	if errors.Is(err, promtsdb.ErrInvalidSample) && w.ls.IsEmpty() {
		w.x.t.m.staleRefs.Inc()
		if err := w.build(); err != nil {
			return err
		}
		ref, err = w.x.app.Append(0, w.ls, st, t, v, h, fh, storage.AOptions{})
	}
	if err != nil {
		return err
	}
	w.x.sampled++
	if ref != w.ref {
		w.ref, w.fresh = ref, true
	}
	return nil
}

// nanos turns Unix ms into ns, held within what can be said.
func nanos(ms int64) int64 {
	const most = math.MaxInt64/int64(time.Millisecond) - 1
	return min(max(ms, -most), most) * int64(time.Millisecond)
}

// reduce brings native histograms to the finest resolution that is stored.
func reduce(h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	switch {
	case h != nil && histogram.IsExponentialSchemaReserved(h.Schema) && h.Schema > histogram.ExponentialSchemaMax:
		return h.ReduceResolution(histogram.ExponentialSchemaMax)
	case fh != nil && histogram.IsExponentialSchemaReserved(fh.Schema) && fh.Schema > histogram.ExponentialSchemaMax:
		return fh.ReduceResolution(histogram.ExponentialSchemaMax)
	}
	return nil
}

// build checks the labels and makes them.
func (w *writing) build() error {
	ls := slices.Clone(w.s.labels)
	slices.SortFunc(ls, func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) })
	name := ""
	w.x.builder.Reset()
	for i, l := range ls {
		switch {
		case l.Name == "":
			return errors.New("a label has no name")
		case !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value):
			return fmt.Errorf("label %q is not valid UTF-8", clip(l.Name))
		case i > 0 && ls[i-1].Name == l.Name:
			return fmt.Errorf("label %q comes twice", clip(l.Name))
		case l.Name == labels.MetricName:
			name = l.Value
		}
		if l.Value != "" {
			w.x.builder.Add(l.Name, l.Value)
		}
	}
	if name == "" {
		return errors.New("series has no __name__")
	}
	w.ls = w.x.builder.Labels()
	return nil
}

// offer notes the exemplars of the series.
func (w *writing) offer() {
	for i := range w.s.exemplars {
		o := offered{ref: uint64(w.ref), e: &w.s.exemplars[i], time: w.x.now}
		if !w.x.t.exemplars.knows(o.ref) {
			if w.ls.IsEmpty() && w.build() != nil {
				return
			}
			o.labels = w.ls
		}
		w.x.offers = append(w.x.offers, o)
	}
}

// rejectWritten counts n samples of a series as not taken.
func (x *txn) rejectWritten(s *writeSeries, n int64, err error) {
	x.reject(&model.Metric{Name: s.label(labels.MetricName)}, err)
	x.rej.Count += n - 1
}
