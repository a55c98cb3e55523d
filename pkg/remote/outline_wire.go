package remote

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"braid/pkg/model"
)

// An outline travels as a head (JSON), then parts of spans, of a MiB each. A
// span is: id and parent (8 bytes each); start, less that of the span before;
// duration; where it is, less where the one before is (signed varints); kind,
// status (a byte each); the number of its operation (varint). Operations are
// numbered as they come: service and name follow the number that is the next
// one. That is about 30 bytes a span, 53 at most.

// outlinePart is after how many bytes a part of an outline is sent.
const outlinePart = 1 << 20

// minOutlineSpan is the least that a span takes.
const minOutlineSpan = 22

type outlineHead struct {
	Version string
	Spans   int
}

// sendOutline writes an outline in parts.
func sendOutline(send func([]byte) error, o *model.Outline) error {
	head, err := json.Marshal(outlineHead{o.Version, len(o.Spans)})
	if err != nil {
		return err
	}
	if err := send(head); err != nil {
		return err
	}
	var (
		start   int64
		at      uint64
		numbers = make([]uint32, len(o.Operations)) // on the way, +1
		next    uint32
		b       []byte
	)
	for i := range o.Spans {
		s := &o.Spans[i]
		if b == nil {
			b = make([]byte, 0, min(outlinePart+outlinePart/16, 64*(len(o.Spans)-i)))
		}
		b = append(append(b, s.ID[:]...), s.Parent[:]...)
		b = binary.AppendVarint(b, s.Start-start)
		b = binary.AppendVarint(b, s.End-s.Start)
		b = binary.AppendVarint(b, int64(s.At-at))
		start, at = s.Start, s.At
		b = append(b, byte(s.Kind), byte(s.Status))
		if n := numbers[s.Operation]; n > 0 {
			b = binary.AppendUvarint(b, uint64(n-1))
		} else {
			op := &o.Operations[s.Operation]
			b = putString(putString(binary.AppendUvarint(b, uint64(next)), op.Service), op.Name)
			next++
			numbers[s.Operation] = next
		}
		if len(b) >= outlinePart {
			if err := send(b); err != nil {
				return err
			}
			b = nil // the one who sends may keep it
		}
	}
	if len(b) > 0 {
		return send(b)
	}
	return nil
}

// outlineReader puts together what sendOutline wrote.
type outlineReader struct {
	id    model.TraceID
	out   model.Outline
	spans int // how many are to come in all
	start int64
	at    uint64
	names int // bytes of the operations
}

func newOutlineReader(id model.TraceID, head []byte) (*outlineReader, error) {
	var h outlineHead
	if err := json.Unmarshal(head, &h); err != nil || h.Spans < 0 {
		return nil, fmt.Errorf("cannot read the outline of trace %s from a remote source: damaged head", id)
	}
	if h.Spans > maxOutline {
		return nil, fmt.Errorf("%w: trace %s has %d spans, of at most %d an outline is read from another process; search it with TraceQL", model.ErrTooMuch, id, h.Spans, maxOutline)
	}
	r := &outlineReader{id: id, spans: h.Spans}
	r.out.Version = h.Version
	if h.Spans > 0 {
		r.out.Spans = make([]model.OutlineSpan, 0, h.Spans)
	}
	return r, nil
}

// add reads one part.
func (r *outlineReader) add(data []byte) error {
	in := &reader{b: data}
	for len(in.b) > 0 {
		if len(in.b) < minOutlineSpan || len(r.out.Spans) == r.spans {
			in.fail()
			break
		}
		var s model.OutlineSpan
		copy(s.ID[:], in.bytes(8))
		copy(s.Parent[:], in.bytes(8))
		r.start += in.varint()
		s.Start, s.End = r.start, r.start+in.varint()
		r.at += uint64(in.varint())
		s.At = r.at
		if b := in.bytes(2); len(b) == 2 {
			s.Kind, s.Status = model.SpanKind(b[0]), model.StatusCode(b[1])
		}
		n := in.uvarint()
		switch known := uint64(len(r.out.Operations)); {
		case n == known && n < math.MaxUint32:
			op := model.Operation{Service: in.string(), Name: in.string()}
			r.out.Operations = append(r.out.Operations, op)
			if r.names += len(op.Service) + len(op.Name); r.names > maxOperations {
				return fmt.Errorf("%w: the spans of trace %s have more than %d MiB of names; search it with TraceQL", model.ErrTooMuch, r.id, maxOperations>>20)
			}
		case n > known:
			in.fail()
		}
		s.Operation = uint32(n)
		r.out.Spans = append(r.out.Spans, s)
	}
	if in.err != nil {
		return fmt.Errorf("cannot read the outline of trace %s: %w", r.id, in.err)
	}
	return nil
}

// end returns the outline when all of it has come.
func (r *outlineReader) end() (*model.Outline, error) {
	if len(r.out.Spans) != r.spans {
		return nil, fmt.Errorf("cannot read the outline of trace %s from a remote source: %d of %d spans came", r.id, len(r.out.Spans), r.spans)
	}
	return &r.out, nil
}
