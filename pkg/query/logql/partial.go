package logql

import (
	"math"
	"slices"

	"braid/pkg/model"
)

// partial is what a range function needs to know of some samples of a series,
// in order of time. Partials of neighbouring times join (merge is associative),
// so that a window is the join of its pieces.
type partial struct {
	count               float64
	sum, min, max       float64
	mean, m2            float64 // Welford's running mean and squared distance
	first, last         float64
	firstTime, lastTime int64
	increase            float64 // of a counter, resets undone
	values              []float64
	sketch              *model.Sketch
}

// keep says which costly parts a function needs.
type keepWhat uint8

const (
	keepNothing keepWhat = iota
	keepValues           // every value
	keepSketch
)

// add takes one sample; times must not fall.
func (p *partial) add(t int64, v float64, keep keepWhat) {
	if p.count == 0 {
		p.min, p.max, p.first, p.firstTime = v, v, v, t
	} else {
		if v < p.min || math.IsNaN(p.min) {
			p.min = v
		}
		if v > p.max || math.IsNaN(p.max) {
			p.max = v
		}
		p.increase += counterStep(p.last, v)
	}
	p.count++
	p.sum += v
	d := v - p.mean
	p.mean += d / p.count
	p.m2 += d * (v - p.mean)
	p.last, p.lastTime = v, t
	switch keep {
	case keepValues:
		p.values = append(p.values, v)
	case keepSketch:
		if p.sketch == nil {
			p.sketch = &model.Sketch{}
		}
		p.sketch.Add(v, 1)
	}
}

// counterStep is how much a counter grew between two values: all of the later
// one when it was reset.
func counterStep(a, b float64) float64 {
	if b < a {
		return b
	}
	return b - a
}

// merge returns p followed by o. Values and sketches are not joined: see
// quantile.
func (p partial) merge(o *partial) partial {
	if o.count == 0 {
		return p
	}
	if p.count == 0 {
		out := *o
		out.values, out.sketch = nil, nil
		return out
	}
	n := p.count + o.count
	d := o.mean - p.mean
	out := partial{
		count: n, sum: p.sum + o.sum,
		min: minNaN(p.min, o.min), max: maxNaN(p.max, o.max),
		mean: p.mean + d*o.count/n, m2: p.m2 + o.m2 + d*d*p.count*o.count/n,
		first: p.first, firstTime: p.firstTime, last: o.last, lastTime: o.lastTime,
		increase: p.increase + o.increase + counterStep(p.last, o.first),
	}
	return out
}

func minNaN(a, b float64) float64 {
	if b < a || math.IsNaN(a) {
		return b
	}
	return a
}

func maxNaN(a, b float64) float64 {
	if b > a || math.IsNaN(a) {
		return b
	}
	return a
}

// value is the function's result for a window (from, to] of samples.
func (p *partial) value(op string, unwrapped bool, from, to int64) (v float64, ok bool) {
	seconds := float64(to-from) / 1e9
	switch op {
	case opCount:
		return p.count, true
	case opRate:
		if unwrapped {
			return p.sum / seconds, true
		}
		return p.count / seconds, true
	case opBytes, opSum:
		return p.sum, true
	case opBytesRate:
		return p.sum / seconds, true
	case opAvg:
		return p.sum / p.count, true
	case opMin:
		return p.min, true
	case opMax:
		return p.max, true
	case opFirst:
		return p.first, true
	case opLast:
		return p.last, true
	case opStdvar:
		return p.m2 / p.count, true
	case opStddev:
		return math.Sqrt(p.m2 / p.count), true
	case opRateCounter:
		return p.counterRate(from, to)
	}
	return p.count, true // absent_over_time looks only whether there is any
}

// counterRate extrapolates the increase to the window's ends, as Prometheus
// documents for rate: not beyond zero, and not further than half a usual
// distance where the samples end well within the window.
func (p *partial) counterRate(from, to int64) (float64, bool) {
	sampled := float64(p.lastTime-p.firstTime) / 1e9
	if p.count < 2 || sampled <= 0 {
		return 0, true // nothing has risen
	}
	usual := sampled / (p.count - 1)
	toStart, toEnd := float64(p.firstTime-from)/1e9, float64(to-p.lastTime)/1e9
	if p.increase > 0 && p.first >= 0 {
		toStart = math.Min(toStart, sampled*p.first/p.increase)
	}
	if toStart >= usual*1.1 {
		toStart = usual / 2
	}
	if toEnd >= usual*1.1 {
		toEnd = usual / 2
	}
	return p.increase * (sampled + toStart + toEnd) / sampled / (float64(to-from) / 1e9), true
}

// quantileOf interpolates between the two nearest values; it sorts them.
func quantileOf(q float64, values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	rank := q * float64(len(values)-1)
	lo := int(math.Floor(rank))
	hi := min(lo+1, len(values)-1)
	w := rank - float64(lo)
	return values[lo]*(1-w) + values[hi]*w
}
