package jaegerapi

import (
	"errors"

	"braid/internal/rawgrpc"
	"braid/pkg/model"
	"braid/pkg/otlp"
)

// grpcTraces answers storage v2's GetTraces: ids that are not there are left
// out.
func (a *API) grpcTraces(c call) error {
	asked := 0
	return rawgrpc.Each(c.body, func(q rawgrpc.Field) error {
		if q.Number != 1 {
			return nil
		}
		if asked++; asked > maxLimit {
			return invalid("more than %d traces are asked for", maxLimit)
		}
		var raw []byte
		if err := fieldOne(q.Bytes, func(f rawgrpc.Field) { raw = f.Bytes }); err != nil {
			return err
		}
		id, err := idBytes(raw)
		if err != nil {
			return err
		}
		tr, err := a.opts.Engine.Trace(c.ctx, c.tenant, id)
		if errors.Is(err, model.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return sendTrace(c, tr.Spans, otlp.EncodeTraces)
	})
}

// grpcDependencies answers both the storage's and api_v2's GetDependencies:
// their messages are the same.
func (a *API) grpcDependencies(c call) ([]byte, error) {
	var rng model.TimeRange
	err := rawgrpc.Each(c.body, func(f rawgrpc.Field) (err error) {
		switch f.Number {
		case 1:
			rng.Start, err = f.Seconds()
		case 2:
			rng.End, err = f.Seconds()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if rng.End < rng.Start {
		return nil, invalid("end_time lies before start_time")
	}
	edges, err := a.edges(c.ctx, c.tenant, rng)
	if err != nil {
		return nil, err
	}
	var e rawgrpc.Encoder
	for _, x := range edges {
		e.Message(1, func(e *rawgrpc.Encoder) {
			e.String(1, x.Parent)
			e.String(2, x.Child)
			e.Int(3, int64(x.Calls))
			e.String(4, "braid")
		})
	}
	return e.B, nil
}
