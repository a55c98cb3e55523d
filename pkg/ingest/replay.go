package ingest

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// joinEncoding and splitEncoding write the compression behind the protocol's
// name: "otlp-protobuf+gzip".
func joinEncoding(proto string, c Compression) string {
	if c == Plain {
		return proto
	}
	return proto + "+" + string(c)
}

func splitEncoding(s string) (proto string, c Compression) {
	proto, packed, _ := strings.Cut(s, "+")
	return proto, Compression(packed)
}

// withdrawn is the encoding of a record that takes back an earlier one: its body
// is the other's position.
const withdrawn = "braid-withdrawn"

// withdraw notes in the log that a store did not take a record that is there
// already: its sender will send it again, and a replay must not give it twice.
func (p *Pipeline) withdraw(ctx context.Context, rec *Record, pos model.Position) {
	token := p.flight.enter()
	defer p.flight.leave(token)
	note := &Record{Tenant: rec.Tenant, Signal: rec.Signal, Encoding: withdrawn, Received: rec.Received, Body: binary.AppendUvarint(nil, uint64(pos))}
	ticket, err := p.opts.Log.Append(ctx, note)
	if err == nil {
		p.flight.placed(token, ticket.Position())
		err = ticket.Wait(ctx)
	}
	if err != nil {
		p.log.Warn("a refused request stays in the ingest log; a replay may store it beside its retry", "position", pos, "tenant", rec.Tenant, "err", err)
	}
}

// findWithdrawn reads the log once for the positions that were taken back.
func (p *Pipeline) findWithdrawn(ctx context.Context) (map[model.Position]bool, error) {
	out := map[model.Position]bool{}
	err := p.opts.Log.Replay(ctx, 0, func(pos model.Position, rec *Record) error {
		if rec.Encoding == withdrawn {
			if at, n := binary.Uvarint(rec.Body); n > 0 {
				out[model.Position(at)] = true
			}
			out[pos] = true // the note itself is nothing to apply
		}
		return ctx.Err()
	})
	return out, err
}

// replayReport is how often a long replay says where it is.
const replayReport = 5 * time.Second

// Replay hands the log's records to the stores again, after a start. A record
// that cannot be decoded (its protocol is gone, it was damaged before it came)
// is counted, named in the log, and left out; an error of a store ends the
// replay, for the log still has what the store did not take.
func (p *Pipeline) Replay(ctx context.Context) error {
	begun, said := p.opts.Now(), p.opts.Now()
	var records, failed, bytes int64
	skip, err := p.findWithdrawn(ctx)
	if err != nil {
		return err
	}
	err = p.opts.Log.Replay(ctx, 0, func(pos model.Position, rec *Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.flight.reached(pos)
		if skip[pos] {
			return nil
		}
		records++
		bytes += int64(len(rec.Body))
		bad, err := p.replayOne(ctx, pos, rec)
		if err != nil {
			return fmt.Errorf("cannot replay record %d of tenant %q: %w", pos, rec.Tenant, err)
		}
		if bad != nil {
			failed++
			p.log.Error("record of the ingest log left out of the replay", "position", pos, "tenant", rec.Tenant, "encoding", rec.Encoding, "err", bad)
		}
		if now := p.opts.Now(); now.Sub(said) >= replayReport {
			said = now
			p.log.Info("replaying the ingest log", "records", records, "bytes", bytes, "position", pos)
		}
		return nil
	})
	p.metrics.replayed.Add(float64(records))
	if err != nil {
		return err
	}
	if records > 0 {
		p.log.Info("ingest log replayed", "records", records, "bytes", bytes, "failed", failed, "seconds", p.opts.Now().Sub(begun).Seconds())
	}
	return nil
}

// replayOne applies one record. bad tells why it was left out.
func (p *Pipeline) replayOne(ctx context.Context, pos model.Position, rec *Record) (bad, err error) {
	name, compression := rec.Encoding, Plain
	proto, ok := p.protocols[name] // Accept's names may have a "+" of their own
	if !ok {
		name, compression = splitEncoding(rec.Encoding)
		proto, ok = p.protocols[name]
	}
	if !ok {
		return fmt.Errorf("no protocol %q is registered", name), nil
	}
	if proto.Store != nil {
		_, err := retryOverload(ctx, func() (model.Rejections, error) { return proto.Store(ctx, rec.Tenant, pos, rec.Body) })
		return nil, err
	}
	if p.held(proto.Signal, rec.Tenant, pos) {
		return nil, nil
	}
	b := otlp.Get()
	defer otlp.Put(b)
	unpacked := getBuffer()
	defer putBuffer(unpacked)
	l := newBudget(unlimited).lease(rec.Tenant)
	r := &Request{Tenant: rec.Tenant, Protocol: name, Compression: compression, Body: rec.Body, lease: l}
	batches, _, err := p.decode(proto, r, b, unpacked, time.Unix(0, rec.Received))
	if err != nil {
		return err, nil
	}
	if batches.count() == 0 {
		return nil, nil
	}
	_, err = retryOverload(ctx, func() (model.Rejections, error) { return p.store(ctx, rec.Tenant, pos, batches) })
	return nil, err
}

// held reports whether the store of a signal knows that it has a position.
func (p *Pipeline) held(s Signal, t tenant.ID, pos model.Position) bool {
	var store any
	switch s {
	case SignalLogs:
		store = p.opts.Logs
	case SignalTraces:
		store = p.opts.Spans
	case SignalMetrics:
		store = p.opts.Metrics
	}
	h, ok := store.(Holder)
	return ok && h.Holds(t, pos)
}

// retryOverload waits while a store says "not now": a replay is faster than a
// store may flush.
func retryOverload(ctx context.Context, f func() (model.Rejections, error)) (model.Rejections, error) {
	for {
		rej, err := f()
		if err == nil || !isOverload(err) {
			return rej, err
		}
		select {
		case <-ctx.Done():
			return rej, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
