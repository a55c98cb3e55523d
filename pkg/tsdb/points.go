package tsdb

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"braid/pkg/model"
)

var staleNaN = math.Float64frombits(value.StaleNaN)

// addPoint appends one point: all of its series, or a rejection.
func (x *txn) addPoint(tg *target, scope *model.Scope, m *model.Metric, metric identity, p *model.Point) (foreign bool) {
	s := &x.point
	*s = stream{tg: tg, scope: scope, m: m, p: p, shard: &x.t.shards[tg.shard]}
	if err := x.checkTime(p); err != nil {
		x.reject(m, err)
		return false
	}
	s.id = x.h.pointIdentity(metric, p, m.Type)
	span, refs, hit := s.shard.cache.get(s.id)
	if hit {
		s.refs, s.flags = refs, span.flags
	} else if err := x.build(); err != nil {
		x.reject(m, err)
		return false
	}
	if s.flags&spanForeign != 0 && !x.exclusive {
		return true
	}
	if s.flags&spanShared != 0 && len(s.refs) > 0 {
		if err := x.contradicts(s.refs[0], p); err != nil {
			x.reject(m, err)
			return false
		}
	}
	s.t = p.Time / 1e6
	start := x.startTime(m, p)
	if start != span.start || x.t.opts.StoreStartTimes {
		s.st = start
	}
	if err := x.addValues(); err != nil {
		x.reject(m, err)
	} else if len(p.Exemplars) > 0 {
		x.offerExemplars()
	}
	switch {
	case s.fresh:
		s.shard.cache.put(s.id, x.refs, start, s.flags)
	case hit && start != span.start:
		s.shard.cache.setStart(s.id, span, start)
	}
	if tg.maxTime == 0 || p.Time < tg.minTime {
		tg.minTime = p.Time
	}
	tg.maxTime = max(tg.maxTime, p.Time)
	return false
}

// startTime is the start of a stream that counts from zero, in Unix ms; 0 when
// no zero sample shall be written for it.
func (x *txn) startTime(m *model.Metric, p *model.Point) int64 {
	counts := m.Type != model.MetricGauge && (m.Type != model.MetricSum || m.Monotonic)
	if !counts || p.Start <= 0 || p.Start >= p.Time || p.Flags&model.FlagNoRecordedValue != 0 || m.Temporality == model.TemporalityDelta {
		return 0
	}
	return x.usefulStart(p.Start/1e6, p.Time/1e6)
}

// usefulStart returns a start time that is worth handing to the head: any that
// is stored with its sample, else one that a zero sample may be written at.
func (x *txn) usefulStart(start, t int64) int64 {
	if !x.t.opts.StoreStartTimes && (start >= t || t-start > maxZeroSampleAge.Milliseconds()) {
		return 0
	}
	return start
}

func (x *txn) checkTime(p *model.Point) error {
	if p.Time <= 0 {
		return errors.New("point has no time_unix_nano")
	}
	return x.checkMillis(p.Time / 1e6)
}

func (x *txn) checkMillis(ms int64) error {
	switch {
	case ms > x.maxTime:
		return fmt.Errorf("sample is %s ahead of this server's clock, at most %s is allowed: set the sender's clock",
			time.Duration(nanos(ms)-x.now).Round(time.Second), x.t.opts.FutureWindow)
	case ms < x.minTime:
		return fmt.Errorf("sample is older than the retention of %s", x.t.retention())
	}
	return nil
}

// addValues turns the point at hand into samples.
func (x *txn) addValues() error {
	s := &x.point
	stale := s.p.Flags&model.FlagNoRecordedValue != 0
	if !stale && s.m.Temporality == model.TemporalityDelta && s.m.Type != model.MetricGauge && s.m.Type != model.MetricSummary {
		return x.addDelta()
	}
	switch s.m.Type {
	case model.MetricGauge, model.MetricSum:
		if err := checkTemporality(s.m); err != nil {
			return err
		}
		if stale {
			return x.append(0, staleNaN)
		}
		return x.append(0, s.p.Value)
	case model.MetricHistogram:
		if err := checkTemporality(s.m); err != nil {
			return err
		}
		return x.addHistogram(s.p, stale)
	case model.MetricExpHistogram:
		if err := checkTemporality(s.m); err != nil {
			return err
		}
		if stale {
			return x.append(0, staleNaN)
		}
		h, err := nativeHistogram(s.p)
		if err != nil {
			return fmt.Errorf("inconsistent exponential histogram: %w", err)
		}
		return x.appendAny(0, 0, h, nil)
	case model.MetricSummary:
		return x.addSummary(stale)
	}
	return errors.New("metric has no data of a known type")
}

func checkTemporality(m *model.Metric) error {
	if m.Type != model.MetricGauge && m.Temporality == model.TemporalityUnspecified {
		return errors.New("aggregation temporality is unspecified: send cumulative or delta")
	}
	return nil
}

// The series of a histogram: 0 is _count, 1.. are the buckets up to +Inf, the
// last is _sum.
func (x *txn) addHistogram(p *model.Point, stale bool) error {
	n := len(p.Bounds) + 1
	if stale {
		for i := 0; i <= n; i++ {
			if err := x.append(i, staleNaN); err != nil {
				return err
			}
		}
		if p.HasSum {
			return x.append(n+1, staleNaN)
		}
		return nil
	}
	if err := checkHistogram(p); err != nil {
		return fmt.Errorf("inconsistent histogram: %w", err)
	}
	if err := x.append(0, float64(p.Count)); err != nil {
		return err
	}
	var sum uint64
	for i := range p.Bounds {
		sum += p.Counts[i]
		if err := x.append(1+i, float64(sum)); err != nil {
			return err
		}
	}
	if err := x.append(n, float64(p.Count)); err != nil {
		return err
	}
	if p.HasSum {
		return x.append(n+1, p.Sum)
	}
	return nil
}

// maxBounds bounds the buckets of an explicit histogram: each is a series.
const maxBounds = 1000

func checkHistogram(p *model.Point) error {
	if len(p.Bounds) > maxBounds {
		return fmt.Errorf("%d bounds, at most %d are allowed", len(p.Bounds), maxBounds)
	}
	if len(p.Counts) == 0 && len(p.Bounds) == 0 {
		return nil // count and sum alone
	}
	if len(p.Counts) != len(p.Bounds)+1 {
		return fmt.Errorf("%d bucket counts for %d bounds, there must be one more than bounds", len(p.Counts), len(p.Bounds))
	}
	var sum uint64
	for i, c := range p.Counts {
		sum += c
		if i > 0 && i < len(p.Bounds) && !(p.Bounds[i] > p.Bounds[i-1]) {
			return fmt.Errorf("bounds are not increasing at %d", i)
		}
	}
	if len(p.Bounds) > 0 && math.IsNaN(p.Bounds[0]) {
		return errors.New("a bound is not a number")
	}
	if sum != p.Count {
		return fmt.Errorf("its buckets add up to %d, its count is %d", sum, p.Count)
	}
	return nil
}

// The series of a summary: 0 is _count, 1 is _sum, 2.. are the quantiles.
func (x *txn) addSummary(stale bool) error {
	p := x.point.p
	pick := func(v float64) float64 {
		if stale {
			return staleNaN
		}
		return v
	}
	if err := x.append(0, pick(float64(p.Count))); err != nil {
		return err
	}
	if err := x.append(1, pick(p.Sum)); err != nil {
		return err
	}
	for i := range p.Quantiles {
		if err := x.append(2+i, pick(p.Quantiles[i].Value)); err != nil {
			return err
		}
	}
	return nil
}

// addDelta adds the point to its running total and appends that.
func (x *txn) addDelta() error {
	s := &x.point
	if s.m.Type == model.MetricHistogram {
		if err := checkHistogram(s.p); err != nil {
			return fmt.Errorf("inconsistent histogram: %w", err)
		}
	}
	var native *histogram.Histogram
	if s.m.Type == model.MetricExpHistogram {
		var err error
		if native, err = nativeHistogram(s.p); err != nil {
			return fmt.Errorf("inconsistent exponential histogram: %w", err)
		}
	}
	st, fresh, err := s.shard.delta.state(s.id, s.p, x.now, func() (labelSet, error) {
		if err := x.build(); err != nil {
			return nil, err
		}
		return append(s.base[:len(s.base):len(s.base)], labels.Label{Name: labels.MetricName, Value: s.name}), nil
	}, x.seedDelta)
	if err != nil || !fresh {
		return err
	}
	if s.m.Monotonic || s.m.Type != model.MetricSum {
		s.st = x.usefulStart(st.start/1e6, s.t)
	}
	switch s.m.Type {
	case model.MetricSum:
		return x.append(0, st.addNumber(s.p.Value))
	case model.MetricHistogram:
		p := st.addHistogram(s.p)
		return x.addHistogram(&p, false)
	default:
		fh, err := st.addNative(native)
		if err != nil {
			return err
		}
		return x.appendAny(0, 0, nil, fh)
	}
}

// offerExemplars notes the exemplars of the point at hand with their series:
// of a histogram, the bucket that their value falls into.
func (x *txn) offerExemplars() {
	s := &x.point
	refs := s.refs
	if s.fresh {
		refs = x.refs
	}
	for i := range s.p.Exemplars {
		e := &s.p.Exemplars[i]
		at := 0
		if s.m.Type == model.MetricHistogram {
			at = 1 + sort.SearchFloat64s(s.p.Bounds, e.Value)
		}
		if at >= len(refs) || math.IsNaN(e.Value) {
			continue
		}
		o := offered{ref: refs[at], e: e, time: s.p.Time}
		if !x.t.exemplars.knows(o.ref) {
			var err error
			if o.labels, err = x.seriesLabels(at); err != nil {
				continue
			}
		}
		x.offers = append(x.offers, o)
	}
}

// build finds the name and the common labels of the stream at hand.
func (x *txn) build() error {
	s := &x.point
	if s.built {
		return nil
	}
	if s.m.Name == "" {
		return errors.New("metric has no name")
	}
	if x.named.of != s.m {
		name, err := x.t.tr.metricName(s.m)
		if err != nil {
			return err
		}
		x.named = namedMetric{of: s.m, name: name}
	}
	base, foreign, err := x.t.tr.baseLabels(x.base, s.tg, s.scope, s.p.Attrs)
	if err != nil {
		return err
	}
	slices.SortFunc(base, func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) })
	x.base, s.base, s.name, s.built = base, base, x.named.name, true
	if foreign {
		s.flags |= spanForeign
	}
	if !x.named.noted {
		err = x.t.meta.note(s.name, model.MetricMeta{Type: promType(s.m), Help: s.m.Description, Unit: x.t.tr.unit(s.m.Unit)})
		x.named.noted = err == nil
	}
	return err
}

// namedMetric is what all points of a metric share.
type namedMetric struct {
	of     *model.Metric
	name   string
	bucket string // the name of its buckets, once there is one
	noted  bool   // its metadata is
}

// seriesName returns the name of a series of the stream at hand.
func (x *txn) seriesName(suffix string) string {
	if suffix != bucketSuffix || x.named.name != x.point.name {
		return x.point.name + suffix
	}
	if x.named.bucket == "" {
		x.named.bucket = x.named.name + suffix
	}
	return x.named.bucket
}

const bucketSuffix = "_bucket"

// seriesLabels builds the labels of series i of the stream at hand.
func (x *txn) seriesLabels(i int) (labels.Labels, error) {
	if err := x.build(); err != nil {
		return labels.EmptyLabels(), err
	}
	s := &x.point
	suffix, extra, extraValue := seriesSuffix(s.m, s.p, i)
	x.builder.Reset()
	// The base is sorted; the name and the extra label are merged into it, in
	// the order "__name__", "le", "quantile" that they have themselves.
	name := labels.Label{Name: labels.MetricName, Value: x.seriesName(suffix)}
	own := [2]labels.Label{name, {Name: extra, Value: extraValue}}
	rest := own[:1]
	if extra != "" {
		rest = own[:]
	}
	for _, l := range s.base {
		for len(rest) > 0 && rest[0].Name < l.Name {
			x.builder.Add(rest[0].Name, rest[0].Value)
			rest = rest[1:]
		}
		if l.Name != extra {
			x.builder.Add(l.Name, l.Value)
		}
	}
	for _, l := range rest {
		x.builder.Add(l.Name, l.Value)
	}
	return x.builder.Labels(), nil
}

// seriesSuffix tells how series i of a point differs from the others.
func seriesSuffix(m *model.Metric, p *model.Point, i int) (suffix, extra, extraValue string) {
	switch m.Type {
	case model.MetricHistogram:
		n := len(p.Bounds) + 1
		switch {
		case i == 0:
			return "_count", "", ""
		case i == n+1:
			return "_sum", "", ""
		case i == n:
			return bucketSuffix, "le", "+Inf"
		}
		return bucketSuffix, "le", floatLabel(p.Bounds[i-1])
	case model.MetricSummary:
		switch i {
		case 0:
			return "_count", "", ""
		case 1:
			return "_sum", "", ""
		}
		return "", "quantile", floatLabel(p.Quantiles[i-2].Quantile)
	}
	return "", "", ""
}

func floatLabel(f float64) string {
	if math.IsInf(f, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
