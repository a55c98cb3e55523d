package jaegerapi

import (
	"errors"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

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
		text, _, err := traceRequest(q.Bytes)
		if err != nil {
			return err
		}
		id, err := idBytes(text)
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

// grpcDependencies answers the GetDependencies of the storage and of both
// generations: their messages are the same, but that api_v3 does not tell where
// an edge comes from.
func (a *API) grpcDependencies(source bool) func(call) ([]byte, error) {
	return func(c call) ([]byte, error) {
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
				if source {
					e.String(4, "braid")
				}
			})
		}
		return e.B, nil
	}
}

// summariesChunk is how many summaries a message has.
const summariesChunk = 100

// grpcSummaries answers FindTraceSummaries of the storage, whose trace ids are
// bytes, and of api_v3, whose are text.
func (a *API) grpcSummaries(storage bool) func(call) error {
	return func(c call) error {
		q, err := grpcQuery(c.body, storage)
		if err != nil {
			return err
		}
		found, err := a.find(c.ctx, c.tenant, q)
		if err != nil {
			return err
		}
		for len(found) > 0 {
			n := min(len(found), summariesChunk)
			var e rawgrpc.Encoder
			for _, m := range found[:n] {
				e.Message(1, func(e *rawgrpc.Encoder) { encodeSummary(e, m, storage) })
			}
			if err := c.send(e.B); err != nil {
				return err
			}
			found = found[n:]
		}
		return nil
	}
}

func encodeSummary(e *rawgrpc.Encoder, m *model.TraceMatch, storage bool) {
	s := summarise(m)
	if storage {
		e.Bytes(1, m.Facts.ID[:])
	} else {
		e.String(1, s.TraceID)
	}
	e.String(2, s.RootService)
	e.String(3, s.RootOperation)
	for i, text := range []string{s.Start, s.End} {
		ns, _ := strconv.ParseInt(text, 10, 64) // summarise wrote it
		e.B = protowire.AppendTag(e.B, protowire.Number(4+i), protowire.Fixed64Type)
		e.B = protowire.AppendFixed64(e.B, uint64(max(0, ns)))
	}
	e.Int(6, int64(s.Spans))
	e.Int(7, int64(s.Errors))
	e.Int(8, int64(s.Orphans))
	for _, x := range s.Services {
		e.Message(9, func(e *rawgrpc.Encoder) {
			e.String(1, x.Name)
			e.Int(2, int64(x.Spans))
			e.Int(3, int64(x.Errors))
		})
	}
}

// grpcCapabilities says that a search needs no service, and that one span
// satisfies all of it.
func (a *API) grpcCapabilities(call) ([]byte, error) {
	var e rawgrpc.Encoder
	e.Message(1, func(e *rawgrpc.Encoder) {
		e.Int(1, 1)
		e.Int(2, 1)
	})
	return e.B, nil
}
