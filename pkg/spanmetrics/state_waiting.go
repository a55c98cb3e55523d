package spanmetrics

import (
	"encoding/binary"
	"errors"

	"braid/pkg/model"
)

// The traces that wait are most of a state, and are written every Interval. A
// trace is its id, when it was born and hit last (from then), and how many spans
// follow; a span is its id, its parent's, its start (from the trace's birth), its
// duration, three numbers of the tables, and three bytes. Numbers are varints.

func (w *waiting) appendTraces(b []byte) []byte {
	for id, tr := range w.traces {
		b = append(b, id[:]...)
		b = binary.AppendVarint(b, tr.born)
		b = binary.AppendVarint(b, tr.hit-tr.born)
		b = binary.AppendUvarint(b, uint64(tr.n))
		w.pieces.each(tr.last, func(x *span) { b = x.append(b, tr.born) })
	}
	return b
}

func (x *span) append(b []byte, born int64) []byte {
	b = append(append(b, x.ID[:]...), x.Parent[:]...)
	b = binary.AppendVarint(b, x.Start-born)
	b = binary.AppendVarint(b, x.Duration)
	b = binary.AppendUvarint(b, uint64(x.Class))
	b = binary.AppendUvarint(b, uint64(x.Service))
	b = binary.AppendUvarint(b, uint64(x.Peer))
	failed := byte(0)
	if x.Failed {
		failed = 1
	}
	return append(b, x.Typ, x.Kind, failed)
}

var errState = errors.New("a waiting trace is cut short or points outside of the tables")

// stateReader takes apart what append wrote; after the first fault it gives
// zeros.
type stateReader struct {
	b   []byte
	bad bool
}

func (r *stateReader) take(dst []byte) {
	if len(r.b) < len(dst) {
		r.b, r.bad = nil, true
		return
	}
	r.b = r.b[copy(dst, r.b):]
}

func (r *stateReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// number reads one below a limit.
func (r *stateReader) number(limit int) uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v >= uint64(limit) {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

func (w *waiting) readTraces(b []byte) error {
	r := stateReader{b: b}
	for len(r.b) > 0 {
		var id model.TraceID
		r.take(id[:])
		born := r.varint()
		hit := born + r.varint()
		for n := r.number(len(r.b) + 1); n > 0 && !r.bad; n-- {
			x, ok := r.span(w, born)
			if !ok {
				break
			}
			w.put(id, x, hit)
		}
		if r.bad {
			return errState
		}
		if t := w.traces[id]; t != nil {
			t.born = born
		}
	}
	return nil
}

func (r *stateReader) span(w *waiting, born int64) (x span, ok bool) {
	r.take(x.ID[:])
	r.take(x.Parent[:])
	x.Start, x.Duration = born+r.varint(), r.varint()
	x.Class, x.Service, x.Peer = r.number(len(w.classes)), r.number(len(w.texts)), r.number(len(w.texts))
	var rest [3]byte
	r.take(rest[:])
	x.Typ, x.Kind, x.Failed = rest[0], rest[1], rest[2] != 0
	r.bad = r.bad || int(x.Typ) >= len(callTypes)
	return x, !r.bad
}
