package traceql

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// accumulator builds a model.Aggregate from single spans.
type accumulator struct {
	agg       *model.Aggregate
	index     map[string]int
	maxGroups int
	kind      predicate.Measure
	exemplars int
	buf       []byte
}

func newAccumulator(p MetricsParams, by, maxGroups int) *accumulator {
	return &accumulator{index: map[string]int{}, maxGroups: maxGroups,
		agg: &model.Aggregate{Start: p.Start, Step: p.Step, Buckets: int((p.End - p.Start + p.Step - 1) / p.Step)}}
}

func (a *accumulator) add(key []model.Value, row *model.SpanRow, v float64, has bool) {
	bucket := int((row.Start - a.agg.Start) / a.agg.Step)
	if bucket < 0 || bucket >= a.agg.Buckets {
		return
	}
	g := a.group(key)
	if g == nil {
		a.agg.Dropped++
		return
	}
	c := &g.Cells[bucket]
	if has && a.kind != predicate.CountOnly {
		c.Measure(v, a.kind == predicate.Quantiles)
	} else {
		c.Add()
	}
	if len(g.Exemplars) < a.exemplars {
		g.Exemplars = append(g.Exemplars, model.AggExemplar{Bucket: bucket, Time: row.Start, Value: v, TraceID: row.TraceID, SpanID: row.SpanID})
	}
}

func (a *accumulator) group(key []model.Value) *model.AggGroup {
	a.buf = a.buf[:0]
	for _, v := range key {
		a.buf = append(a.buf, byte(v.Kind()))
		a.buf = v.AppendText(a.buf)
		a.buf = append(a.buf, 0)
	}
	i, ok := a.index[string(a.buf)]
	if !ok {
		if i = len(a.agg.Groups); i == a.maxGroups {
			return nil
		}
		a.index[string(a.buf)] = i
		a.agg.Groups = append(a.agg.Groups, model.AggGroup{Key: key, Cells: make([]model.Cell, a.agg.Buckets)})
	}
	return &a.agg.Groups[i]
}

// finish turns partial results into series.
func finish(m *Metrics, agg *model.Aggregate, p MetricsParams) []Series {
	scale := 1.0
	if m.Of != nil && m.Of.typ() == TypeDuration {
		scale = 1e-9 // series tell durations in seconds
	}
	var out []Series
	if counts := m.Func == "rate" || m.Func == "count_over_time"; counts && len(m.By) == 0 && len(agg.Groups) == 0 {
		// That nothing matches is a count as well: 0, as in Tempo.
		agg.Groups = append(agg.Groups, model.AggGroup{Cells: make([]model.Cell, agg.Buckets)})
	}
	for i := range agg.Groups {
		out = append(out, groupSeries(m, agg, &agg.Groups[i], scale)...)
	}
	sortSeries(out)
	for _, s := range m.Second {
		out = secondStage(s, out)
	}
	trimExemplars(out, p.Exemplars)
	return out
}

func labelsOf(m *Metrics, key []model.Value) []Label {
	out := make([]Label, 0, len(key)+1)
	for i, f := range m.By {
		v := key[i]
		if v.Kind() == model.KindEmpty {
			v = model.String("nil")
		}
		out = append(out, Label{Name: f.String(), Value: v})
	}
	return out
}

func groupSeries(m *Metrics, agg *model.Aggregate, g *model.AggGroup, scale float64) []Series {
	labels := labelsOf(m, g.Key)
	var out []Series
	switch m.Func {
	case "quantile_over_time":
		for _, q := range m.Quantiles {
			with := append(slices.Clone(labels), Label{Name: "p", Value: model.Double(q)})
			out = append(out, Series{Labels: with, Samples: samples(agg, g, func(c *model.Cell) (float64, bool) {
				if c.Sketch == nil || c.Sketch.Total == 0 {
					return 0, false
				}
				return cellQuantile(c, q) * scale, true
			})})
		}
	case "histogram_over_time":
		out = histogram(agg, g, labels, scale)
	default:
		if len(labels) == 0 {
			labels = []Label{{Name: "__name__", Value: model.String(m.Func)}}
		}
		seconds := float64(agg.Step) / 1e9
		out = []Series{{Labels: labels, Samples: samples(agg, g, func(c *model.Cell) (float64, bool) {
			return cellValue(m.Func, c, seconds, scale)
		})}}
	}
	out = slices.DeleteFunc(out, func(s Series) bool { return len(s.Samples) == 0 })
	if len(out) > 0 {
		placeExemplars(m, agg, out, seriesExemplars(g, scale))
	}
	return out
}

// placeExemplars gives a group's exemplars to its series: of a histogram to the
// bucket that each fell into, of quantiles to the nearest. Where the function
// measures no field the exemplar stands on the line, at the sample's value.
func placeExemplars(m *Metrics, agg *model.Aggregate, out []Series, all []Exemplar) {
	for _, x := range all {
		s := &out[0]
		switch m.Func {
		case "histogram_over_time":
			s = bucketOf(out, x.Value)
		case "quantile_over_time":
			s = nearest(agg, out, x)
		}
		if m.Func == "rate" || m.Func == "count_over_time" || m.Func == "histogram_over_time" {
			x.Value, _ = s.at(agg, x.T)
		}
		s.Exemplars = append(s.Exemplars, x)
	}
}

func bucketOf(out []Series, v float64) *Series {
	for i := range out {
		if le, _ := out[i].Labels[len(out[i].Labels)-1].Value.Float(); v <= le {
			return &out[i]
		}
	}
	return &out[len(out)-1]
}

func nearest(agg *model.Aggregate, out []Series, x Exemplar) *Series {
	best, distance := &out[0], math.Inf(1)
	for i := range out {
		if v, ok := out[i].at(agg, x.T); ok && math.Abs(v-x.Value) < distance {
			best, distance = &out[i], math.Abs(v-x.Value)
		}
	}
	return best
}

// at returns the sample that tells of an instant.
func (s *Series) at(agg *model.Aggregate, t int64) (float64, bool) {
	want := agg.Start + ((t-agg.Start)/agg.Step+1)*agg.Step
	i, ok := slices.BinarySearchFunc(s.Samples, want, func(x Sample, t int64) int { return cmp.Compare(x.T, t) })
	if !ok {
		return 0, false
	}
	return s.Samples[i].Value, true
}

// cellQuantile keeps a sketch's estimate within what was measured; the ends are
// known exactly.
func cellQuantile(c *model.Cell, q float64) float64 {
	switch q {
	case 0:
		return c.Min
	case 1:
		return c.Max
	}
	return math.Min(math.Max(c.Sketch.Quantile(q), c.Min), c.Max)
}

func cellValue(fn string, c *model.Cell, seconds, scale float64) (float64, bool) {
	switch fn {
	case "rate":
		return float64(c.Count) / seconds, true
	case "count_over_time":
		return float64(c.Count), true
	}
	if c.Measured == 0 {
		return 0, false
	}
	switch fn {
	case "min_over_time":
		return c.Min * scale, true
	case "max_over_time":
		return c.Max * scale, true
	case "avg_over_time":
		return c.Sum / float64(c.Measured) * scale, true
	}
	return c.Sum * scale, true
}

func samples(agg *model.Aggregate, g *model.AggGroup, value func(*model.Cell) (float64, bool)) []Sample {
	var out []Sample
	for b := range g.Cells {
		if v, ok := value(&g.Cells[b]); ok {
			out = append(out, Sample{T: agg.Start + int64(b+1)*agg.Step, Value: v})
		}
	}
	return out
}

// histogram gives one series a power of two: counts of spans whose value lies
// above half of it and up to it. Powers of two are ends of a sketch's buckets.
func histogram(agg *model.Aggregate, g *model.AggGroup, labels []Label, scale float64) []Series {
	counts := map[float64][]float64{}
	for b := range g.Cells {
		if g.Cells[b].Sketch == nil {
			continue
		}
		g.Cells[b].Sketch.Each(func(v float64, n uint64) {
			le := powerOfTwo(v)
			if counts[le] == nil {
				counts[le] = make([]float64, len(g.Cells))
			}
			counts[le][b] += float64(n)
		})
	}
	var bounds []float64
	for le := range counts {
		bounds = append(bounds, le)
	}
	sort.Float64s(bounds)
	out := make([]Series, len(bounds))
	for i, le := range bounds {
		out[i].Labels = append(slices.Clone(labels), Label{Name: "__bucket", Value: model.Double(le * scale)})
		for b, n := range counts[le] {
			out[i].Samples = append(out[i].Samples, Sample{T: agg.Start + int64(b+1)*agg.Step, Value: n})
		}
	}
	return out
}

// powerOfTwo returns the least power of two that v does not pass; 0 for v <= 0.
func powerOfTwo(v float64) float64 {
	if v <= 0 {
		return 0
	}
	frac, exp := math.Frexp(v)
	if frac == 0.5 {
		exp--
	}
	return math.Ldexp(1, exp)
}

func seriesExemplars(g *model.AggGroup, scale float64) []Exemplar {
	out := make([]Exemplar, 0, len(g.Exemplars))
	for _, x := range g.Exemplars {
		out = append(out, Exemplar{T: x.Time, Value: x.Value * scale, TraceID: x.TraceID, SpanID: x.SpanID})
	}
	slices.SortFunc(out, func(a, b Exemplar) int { return cmp.Compare(a.T, b.T) })
	return out
}

// trimExemplars shares the allowance among the series.
func trimExemplars(series []Series, limit int) {
	each := limit
	if len(series) > 0 {
		each = (limit + len(series) - 1) / len(series)
	}
	for i := range series {
		n := min(len(series[i].Exemplars), each, max(0, limit))
		series[i].Exemplars = thin(series[i].Exemplars, n)
		limit -= n
	}
}

// thin keeps n exemplars spread over the whole.
func thin(x []Exemplar, n int) []Exemplar {
	if n >= len(x) || len(x) == 0 {
		return x
	}
	out := make([]Exemplar, n)
	for i := range out {
		out[i] = x[i*len(x)/n]
	}
	return out
}

func sortSeries(s []Series) {
	slices.SortFunc(s, func(a, b Series) int {
		return slices.CompareFunc(a.Labels, b.Labels, func(x, y Label) int {
			if c := strings.Compare(x.Name, y.Name); c != 0 {
				return c
			}
			xf, xok := x.Value.Float()
			yf, yok := y.Value.Float()
			if xok && yok {
				return cmp.Or(cmp.Compare(xf, yf), cmp.Compare(x.Value.Kind(), y.Value.Kind()))
			}
			return strings.Compare(x.Value.Text(), y.Value.Text())
		})
	})
}

func secondStage(s SecondStage, in []Series) []Series {
	var out []Series
	if s.Op == "topk" || s.Op == "bottomk" {
		out = topk(s, in)
	} else {
		for _, x := range in {
			x.Samples = slices.DeleteFunc(slices.Clone(x.Samples), func(v Sample) bool {
				holds, _ := compareValues(s.Op, model.Double(v.Value), model.Double(s.Value))
				return !holds
			})
			out = append(out, x)
		}
	}
	return slices.DeleteFunc(out, func(x Series) bool { return len(x.Samples) == 0 })
}

// topk keeps of each step the N highest (lowest) samples; of equal ones those
// of the first series.
func topk(s SecondStage, in []Series) []Series {
	type at struct {
		series int
		value  float64
	}
	steps := map[int64][]at{}
	for i := range in {
		for _, x := range in[i].Samples {
			steps[x.T] = append(steps[x.T], at{i, x.Value})
		}
	}
	type place struct {
		series int
		t      int64
	}
	kept := map[place]bool{}
	for t, all := range steps {
		slices.SortStableFunc(all, func(a, b at) int {
			if s.Op == "topk" {
				return cmp.Compare(b.value, a.value)
			}
			return cmp.Compare(a.value, b.value)
		})
		for _, x := range all[:min(s.N, len(all))] {
			kept[place{x.series, t}] = true
		}
	}
	out := slices.Clone(in)
	for i := range out {
		out[i].Samples = slices.DeleteFunc(slices.Clone(out[i].Samples), func(x Sample) bool { return !kept[place{i, x.T}] })
	}
	return out
}
