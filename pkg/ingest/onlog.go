package ingest

import (
	"context"
	"time"

	"braid/pkg/ingestlog"
	"braid/pkg/model"
)

// OnLog makes the local ingest log a pipeline's Log.
func OnLog(l *ingestlog.Log) Log { return localLog{l} }

type localLog struct{ log *ingestlog.Log }

// Append implements Log.
func (l localLog) Append(ctx context.Context, r *Record) (Ticket, error) {
	t, err := l.log.Append(ctx, &ingestlog.Record{Tenant: r.Tenant, Signal: uint8(r.Signal), Encoding: r.Encoding,
		Received: time.Unix(0, r.Received), Payload: r.Body})
	if err != nil {
		return nil, err // a nil *Ticket in a Ticket would not be nil
	}
	return t, nil
}

// Replay implements Log.
func (l localLog) Replay(ctx context.Context, from model.Position, fn func(model.Position, *Record) error) error {
	_, err := l.log.Replay(ctx, from, func(pos model.Position, r *ingestlog.Record) error {
		return fn(pos, &Record{Tenant: r.Tenant, Signal: Signal(r.Signal), Encoding: r.Encoding, Received: r.Received.UnixNano(), Body: r.Payload})
	})
	return err
}

// TrimBefore implements Log.
func (l localLog) TrimBefore(pos model.Position) error { return l.log.TrimBefore(pos) }
