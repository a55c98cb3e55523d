package otlp

import "braid/pkg/model"

// DecodeMetrics reads an ExportMetricsServiceRequest (or MetricsData); see
// DecodeLogs for the rules. Points are as they came: whether a histogram is
// consistent is for the receiver to say.
func DecodeMetrics(body []byte, enc Encoding, b *Buffers) (*model.Metrics, model.Rejections, error) {
	d := decoder{b: b}
	wire, err := wireBytes(body, enc, jsonMetrics, b)
	if err != nil {
		return nil, model.Rejections{}, err
	}
	rej, err := d.finish(d.each(wire, d.scopeMetrics))
	if err != nil {
		return nil, rej, err
	}
	return &b.metrics, rej, nil
}

func (d *decoder) scopeMetrics(res *model.Resource, b []byte) error {
	scope := d.newScope()
	metrics := take(d.b, &d.b.metricRows, tally(b)[2])
	if d.b.overflow {
		return nil
	}
	n := 0
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			r.in("scope", d.scope(r.bytes(), scope))
		case 2:
			part := r.bytes()
			if r.err != nil {
				break
			}
			r.in("metric", d.metric(part, &metrics[n]))
			n++
		case 3:
			scope.SchemaURL = d.text(&r)
		default:
			r.skip()
		}
		if d.b.overflow {
			return nil
		}
	}
	if n > 0 {
		d.b.metrics.Batches = append(d.b.metrics.Batches, model.MetricBatch{Resource: res, Scope: scope, Metrics: metrics[:n]})
	}
	return r.err
}

func (d *decoder) metric(b []byte, m *model.Metric) error {
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			m.Name = d.text(&r)
		case 2:
			m.Description = d.text(&r)
		case 3:
			m.Unit = d.text(&r)
		case 5:
			r.in("gauge", d.data(r.bytes(), m, model.MetricGauge, d.numberPoint))
		case 7:
			r.in("sum", d.data(r.bytes(), m, model.MetricSum, d.numberPoint))
		case 9:
			r.in("histogram", d.data(r.bytes(), m, model.MetricHistogram, d.histogramPoint))
		case 10:
			r.in("exponentialHistogram", d.data(r.bytes(), m, model.MetricExpHistogram, d.expPoint))
		case 11:
			r.in("summary", d.data(r.bytes(), m, model.MetricSummary, d.summaryPoint))
		case 12: // metadata: known, not kept
			if part := r.bytes(); r.err == nil {
				_, err := d.keyValue(part)
				r.in("metadata", err)
			}
		default:
			r.skip()
		}
		if d.b.overflow {
			return nil
		}
	}
	return r.err
}

// data reads the points of a metric. A second kind of data in one metric
// replaces the first, as a oneof does.
func (d *decoder) data(b []byte, m *model.Metric, t model.MetricType, point func([]byte, *model.Point) error) error {
	points := take(d.b, &d.b.points, tally(b)[1])
	if d.b.overflow {
		return nil
	}
	m.Type, m.Temporality, m.Monotonic, m.Points = t, 0, false, points
	n := 0
	r := reader{b: b}
	for r.next() {
		switch {
		case r.num == 1:
			part := r.bytes()
			if r.err != nil {
				break
			}
			r.in("dataPoint", point(part, &points[n]))
			n++
		case r.num == 2 && t != model.MetricGauge && t != model.MetricSummary:
			m.Temporality = model.Temporality(known(r.varint(), 2))
		case r.num == 3 && t == model.MetricSum:
			m.Monotonic = r.varint() != 0
		default:
			r.skip()
		}
		if d.b.overflow {
			return nil
		}
	}
	return r.err
}
