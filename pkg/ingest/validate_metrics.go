package ingest

import (
	"math"

	"braid/pkg/model"
)

func (v *validator) metrics(m *model.Metrics) {
	for i := range m.Batches {
		b := &m.Batches[i]
		if i == 0 || b.Resource != m.Batches[i-1].Resource {
			v.resource(b.Resource)
		}
		v.scope(b.Scope)
		kept := b.Metrics[:0]
		for k := range b.Metrics {
			if v.metric(&b.Metrics[k]) {
				kept = keep(kept, b.Metrics, k)
			}
		}
		b.Metrics = kept
	}
	m.Batches = nonEmpty(m.Batches, func(b *model.MetricBatch) int { return len(b.Metrics) })
}

// metric checks a metric and its points; false when nothing of it is left.
func (v *validator) metric(m *model.Metric) bool {
	n := int64(len(m.Points))
	switch {
	case n == 0:
		return false
	case m.Name == "":
		v.rej.Add(n, "metric without a name")
		return false
	case len(m.Name) > v.limits.MaxKeyBytes:
		v.rej.Add(n, "metric %q… with a name longer than the limit of %d bytes", clip(m.Name, 64), v.limits.MaxKeyBytes)
		return false
	case m.Temporality == model.TemporalityUnspecified && m.Type != model.MetricGauge && m.Type != model.MetricSummary:
		v.rej.Add(n, "metric %q has no aggregationTemporality; send 1 (delta) or 2 (cumulative)", m.Name)
		return false
	}
	m.Description = v.cut("metric description", m.Description, v.limits.MaxValueBytes)
	m.Unit = v.cut("metric unit", m.Unit, v.limits.MaxKeyBytes)
	kept := m.Points[:0]
	for k := range m.Points {
		if v.point(m, &m.Points[k]) {
			kept = keep(kept, m.Points, k)
		}
	}
	m.Points = kept
	return len(kept) > 0
}

func (v *validator) point(m *model.Metric, p *model.Point) bool {
	if p.Time == 0 {
		v.rej.Add(1, "data point of %q without timeUnixNano", m.Name)
		return false
	}
	if !v.timely("data point", p.Time) {
		return false
	}
	if p.Flags&model.FlagNoRecordedValue == 0 {
		if wrong := inconsistent(m.Type, p); wrong != "" {
			v.rej.Add(1, "data point of %q: %s", m.Name, wrong)
			return false
		}
	}
	var dropped uint32
	p.Attrs = v.attrs(p.Attrs, &dropped)
	for i := range p.Exemplars {
		e := &p.Exemplars[i]
		if e.Time == 0 || e.Time > v.latest {
			e.Time = p.Time
		}
		e.Attrs = v.attrs(e.Attrs, &dropped)
	}
	return true
}

// inconsistent says what is wrong with a histogram, "" when nothing is.
func inconsistent(t model.MetricType, p *model.Point) string {
	switch t {
	case model.MetricHistogram:
		return inconsistentHistogram(p)
	case model.MetricExpHistogram:
		if p.Scale < -10 || p.Scale > 20 {
			return "scale of the exponential histogram is not in -10 to 20"
		}
		total, ok := p.ZeroCount, true
		for _, side := range [][]uint64{p.Positive.Counts, p.Negative.Counts} {
			var n uint64
			n, ok2 := addUp(side)
			total += n
			ok = ok && ok2 && total >= n
		}
		if !ok || total != p.Count {
			return "count of the exponential histogram is not the sum of zeroCount and the bucketCounts"
		}
	case model.MetricSummary:
		for _, q := range p.Quantiles {
			if !(q.Quantile >= 0 && q.Quantile <= 1) {
				return "quantile of the summary is not in 0 to 1"
			}
		}
	}
	return ""
}

func inconsistentHistogram(p *model.Point) string {
	if len(p.Counts) == 0 && len(p.Bounds) == 0 {
		return "" // only count and sum
	}
	if len(p.Counts) != len(p.Bounds)+1 {
		return "bucketCounts must be one more than explicitBounds"
	}
	for i, b := range p.Bounds {
		if math.IsNaN(b) || i > 0 && b <= p.Bounds[i-1] {
			return "explicitBounds are not increasing"
		}
	}
	if n, ok := addUp(p.Counts); !ok || n != p.Count {
		return "count is not the sum of bucketCounts"
	}
	return ""
}

// addUp sums counts; false when the sum passes 64 bits.
func addUp(counts []uint64) (sum uint64, ok bool) {
	for _, c := range counts {
		if sum+c < sum {
			return 0, false
		}
		sum += c
	}
	return sum, true
}
