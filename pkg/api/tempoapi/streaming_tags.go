package tempoapi

import (
	"braid/internal/rawgrpc"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
)

// minTime tells a Unix time from a limit: no limit comes near it.
const minTime = 100_000_000

// tagRequest is tempopb.SearchTagsRequest or SearchTagValuesRequest. The fields
// after the first are told apart by what they hold, because their numbers have
// moved between versions: a text is the query, a Unix time is start and then
// end, a small number is the limit.
func (c call) tagRequest() (first string, tq tagQuestion, err error) {
	tq = tagQuestion{tenant: c.tenant, limit: maxTags, stats: &model.QueryStats{}}
	var times []uint64
	limits := 0
	err = rawgrpc.Each(c.body, func(f rawgrpc.Field) error {
		switch {
		case f.Number == 1:
			first = string(f.Bytes)
		case f.Bytes != nil:
			tq.query = string(f.Bytes)
		case f.Int >= minTime:
			times = append(times, f.Int)
		case f.Int > 0:
			if limits++; limits == 1 {
				tq.limit = int(f.Int)
			}
		}
		return nil
	})
	switch len(times) {
	case 0:
	case 1:
		tq.rng = secondsRange(times[0], 0)
	default:
		tq.rng = secondsRange(times[0], times[1])
	}
	return first, tq, err
}

func (a *API) streamTags(c call) error {
	scope, tq, err := c.tagRequest()
	if err != nil {
		return err
	}
	tq.scope = scope
	names, err := a.tagNames(c.ctx, tq)
	if err != nil {
		return err
	}
	return c.send(encodeNames(names))
}

func encodeNames(names []string) []byte {
	var e rawgrpc.Encoder
	for _, n := range names {
		e.Bytes(1, []byte(n))
	}
	return e.B
}

func (a *API) streamTagsV2(c call) error {
	scope, tq, err := c.tagRequest()
	if err != nil {
		return err
	}
	tq.scope = scope
	scopes, err := a.tags(c.ctx, tq)
	if err != nil {
		return err
	}
	var e rawgrpc.Encoder
	for _, s := range scopes {
		e.Message(1, func(e *rawgrpc.Encoder) {
			e.String(1, s.Name)
			for _, t := range s.Tags {
				e.Bytes(2, []byte(t))
			}
		})
	}
	return c.send(e.B)
}

func (a *API) streamTagValues(c call) error {
	tag, tq, err := c.tagRequest()
	if err != nil {
		return err
	}
	texts, err := a.tagTexts(c.ctx, tq, tag)
	if err != nil {
		return err
	}
	return c.send(encodeNames(texts))
}

func (a *API) streamTagValuesV2(c call) error {
	tag, tq, err := c.tagRequest()
	if err != nil {
		return err
	}
	values, err := a.tagValues(c.ctx, tq, parseTag(tag))
	if err != nil {
		return err
	}
	var e rawgrpc.Encoder
	for _, v := range values {
		e.Message(1, func(e *rawgrpc.Encoder) { e.String(1, v.Type); e.String(2, v.Value) })
	}
	return c.send(e.B)
}

// metricsRequest reads tempopb.QueryRangeRequest and QueryInstantRequest: times
// are Unix nanoseconds.
func (a *API) metricsRequest(body []byte) (p traceql.MetricsParams, err error) {
	p.Exemplars = defaultExemplars
	err = rawgrpc.Each(body, func(f rawgrpc.Field) error {
		switch f.Number {
		case 1:
			p.Query = string(f.Bytes)
		case 2:
			p.Start = nanos(f.Int)
		case 3:
			p.End = nanos(f.Int)
		case 4:
			p.Step = int64(f.Int)
		case 16:
			if n := int(uint32(f.Int)); n > 0 {
				p.Exemplars = n
			}
		}
		return nil
	})
	if p.End == 0 {
		p.End = a.opts.Now().UnixNano()
	}
	if p.Start == 0 {
		p.Start = p.End - 3600*1e9
	}
	return p, err
}

// nanos takes what is too small to be nanoseconds of these years for seconds.
func nanos(v uint64) int64 {
	if v < 1e11 {
		return int64(v) * 1e9
	}
	return int64(v)
}

func (a *API) streamRange(c call) error {
	p, err := a.metricsRequest(c.body)
	if err != nil {
		return err
	}
	res, err := a.opts.Engine.MetricsRange(c.ctx, c.tenant, p)
	if err != nil {
		return err
	}
	var e rawgrpc.Encoder
	for i := range res.Series {
		e.Message(1, func(e *rawgrpc.Encoder) { encodeSeries(e, &res.Series[i]) })
	}
	encodeTail(&e, res)
	return c.send(e.B)
}

func encodeTail(e *rawgrpc.Encoder, res *traceql.MetricsResult) {
	e.Message(2, func(e *rawgrpc.Encoder) { encodeMetrics(e, res.Stats, 0) })
	status, message := wholeness(res.Stats)
	e.Int(fieldStatus, int64(status))
	e.String(fieldMessage, message)
}

// encodeSeries writes tempopb.TimeSeries.
func encodeSeries(e *rawgrpc.Encoder, s *traceql.Series) {
	for _, l := range s.Labels {
		e.KeyValue(1, model.Attr{Key: l.Name, Value: l.Value})
	}
	for _, x := range s.Samples {
		if finite(x.Value) {
			e.Message(2, func(e *rawgrpc.Encoder) { e.Double(1, x.Value); e.Int(2, x.T/1e6) })
		}
	}
	e.String(3, promLabels(s.Labels))
	for _, x := range s.Exemplars {
		e.Message(4, func(e *rawgrpc.Encoder) {
			for _, a := range exemplarLabels(x) {
				e.KeyValue(1, a)
			}
			e.Double(2, x.Value)
			e.Int(3, x.T/1e6)
		})
	}
}

func (a *API) streamInstant(c call) error {
	p, err := a.metricsRequest(c.body)
	if err != nil {
		return err
	}
	res, err := a.opts.Engine.MetricsInstant(c.ctx, c.tenant, p)
	if err != nil {
		return err
	}
	var e rawgrpc.Encoder
	for i := range res.Series {
		s := &res.Series[i]
		for _, x := range s.Samples {
			if !finite(x.Value) {
				continue
			}
			e.Message(1, func(e *rawgrpc.Encoder) {
				for _, l := range s.Labels {
					e.KeyValue(1, model.Attr{Key: l.Name, Value: l.Value})
				}
				e.Double(2, x.Value)
				e.String(3, promLabels(s.Labels))
			})
		}
	}
	encodeTail(&e, res)
	return c.send(e.B)
}
