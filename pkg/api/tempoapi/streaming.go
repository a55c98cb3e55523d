package tempoapi

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"braid/internal/rawgrpc"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// Register serves tempopb.StreamingQuerier, which Grafana calls on the HTTP
// port when streaming is switched on.
func (a *API) Register(srv grpc.ServiceRegistrar) {
	rawgrpc.Service{Name: "tempopb.StreamingQuerier", Streams: map[string]rawgrpc.StreamHandler{
		"Search":              a.streamed(a.streamSearch),
		"SearchTags":          a.streamed(a.streamTags),
		"SearchTagsV2":        a.streamed(a.streamTagsV2),
		"SearchTagValues":     a.streamed(a.streamTagValues),
		"SearchTagValuesV2":   a.streamed(a.streamTagValuesV2),
		"MetricsQueryRange":   a.streamed(a.streamRange),
		"MetricsQueryInstant": a.streamed(a.streamInstant),
	}}.Register(srv)
}

// call is one call with its tenant.
type call struct {
	ctx    context.Context
	tenant tenant.ID
	body   []byte
	send   func([]byte) error
}

func (a *API) streamed(h func(call) error) rawgrpc.StreamHandler {
	return func(ctx context.Context, body []byte, send func([]byte) error) error {
		t, err := rawgrpc.Tenant(ctx)
		if err == nil {
			err = h(call{ctx, t, body, send})
		}
		return rawgrpc.Status(err)
	}
}

// partialEvery is how often a search tells what it has found so far.
const partialEvery = 200 * time.Millisecond

// streamSearch sends traces as they are found, and at the end all of them.
func (a *API) streamSearch(c call) error {
	p, err := decodeSearch(c.body)
	if err != nil {
		return err
	}
	var fresh []*traceql.TraceResult
	last := a.opts.Now()
	p.OnTrace = func(tr *traceql.TraceResult) error {
		fresh = append(fresh, tr)
		if a.opts.Now().Sub(last) < partialEvery {
			return nil
		}
		last = a.opts.Now()
		b := encodeSearch(fresh, &model.QueryStats{}, 0)
		fresh = nil
		return c.send(b)
	}
	res, err := a.opts.Engine.Search(c.ctx, c.tenant, p)
	if err != nil {
		return err
	}
	return c.send(encodeSearch(res.Traces, res.Stats, res.Inspected))
}

// decodeSearch reads tempopb.SearchRequest.
func decodeSearch(b []byte) (p traceql.Params, err error) {
	p = traceql.Params{SpansPerSet: 3}
	tags := map[string]string{}
	var minMs, maxMs, start, end uint64
	err = rawgrpc.Each(b, func(f rawgrpc.Field) error {
		switch f.Number {
		case 1:
			k, v, err := f.Entry()
			tags[k] = v
			return err
		case 2:
			minMs = f.Int
		case 3:
			maxMs = f.Int
		case 4:
			p.Limit = int(uint32(f.Int))
		case 5:
			start = f.Int
		case 6:
			end = f.Int
		case 8:
			p.Query = string(f.Bytes)
		case 9:
			p.SpansPerSet = int(uint32(f.Int))
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	p.Range = secondsRange(start, end)
	if p.Query == "" {
		p.Query, err = tagQuery(tags, millisText(minMs), millisText(maxMs))
	}
	return p, err
}

func millisText(ms uint64) string {
	if ms == 0 {
		return ""
	}
	return (time.Duration(uint32(ms)) * time.Millisecond).String()
}

func secondsRange(start, end uint64) model.TimeRange {
	r := model.TimeRange{Start: int64(uint32(start)) * 1e9, End: int64(uint32(end)) * 1e9}
	if r.Start != 0 && r.End <= r.Start {
		r.End = 1<<63 - 1
	}
	return r
}

func encodeSearch(traces []*traceql.TraceResult, stats *model.QueryStats, inspected int) []byte {
	var e rawgrpc.Encoder
	for _, tr := range traces {
		e.Message(1, func(e *rawgrpc.Encoder) { encodeTrace(e, tr) })
	}
	e.Message(2, func(e *rawgrpc.Encoder) { encodeMetrics(e, stats, inspected) })
	return e.B
}

// encodeMetrics writes tempopb.SearchMetrics.
func encodeMetrics(e *rawgrpc.Encoder, s *model.QueryStats, inspected int) {
	e.Int(1, int64(inspected))
	e.Int(2, s.Bytes.Load())
	e.Int(3, s.Blocks.Load()+s.BlocksSkipped.Load())
	e.Int(4, 1)
	e.Int(5, 1)
	e.Int(7, s.Rows.Load())
}

// encodeTrace writes tempopb.TraceSearchMetadata.
func encodeTrace(e *rawgrpc.Encoder, tr *traceql.TraceResult) {
	service, name := rootOf(tr)
	e.String(1, tr.ID.String())
	e.String(2, service)
	e.String(3, name)
	e.Int(4, tr.Start)
	e.Int(5, tr.Duration/1e6)
	for i := range tr.SpanSets {
		if i == 0 {
			e.Message(6, func(e *rawgrpc.Encoder) { encodeSpanSet(e, &tr.SpanSets[i]) })
		}
		e.Message(7, func(e *rawgrpc.Encoder) { encodeSpanSet(e, &tr.SpanSets[i]) })
	}
	for _, name := range sortedKeys(tr.Services) {
		e.Message(8, func(e *rawgrpc.Encoder) {
			e.String(1, name)
			e.Message(2, func(e *rawgrpc.Encoder) {
				e.Int(1, int64(tr.Services[name].Spans))
				e.Int(2, int64(tr.Services[name].Errors))
			})
		})
	}
}

func encodeSpanSet(e *rawgrpc.Encoder, set *traceql.SpanSet) {
	for i := range set.Spans {
		s := &set.Spans[i]
		e.Message(1, func(e *rawgrpc.Encoder) {
			e.String(1, s.ID.String())
			e.String(2, s.Name)
			e.Int(3, s.Start)
			e.Int(4, s.Duration)
			for _, a := range s.Attrs {
				e.KeyValue(5, a)
			}
		})
	}
	e.Int(2, int64(set.Matched))
	for _, a := range set.Attrs {
		e.KeyValue(3, a)
	}
}
