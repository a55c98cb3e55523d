package remote

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"braid/pkg/model"
)

var (
	tInt64  = arrow.PrimitiveTypes.Int64
	tUint64 = arrow.PrimitiveTypes.Uint64
	tUint32 = arrow.PrimitiveTypes.Uint32
	tUint8  = arrow.PrimitiveTypes.Uint8
	tBinary = arrow.BinaryTypes.Binary
)

func schemaOf(fields ...any) *arrow.Schema {
	var out []arrow.Field
	for i := 0; i < len(fields); i += 2 {
		out = append(out, arrow.Field{Name: fields[i].(string), Type: fields[i+1].(arrow.DataType)})
	}
	return arrow.NewSchema(out, nil)
}

var logSchema = schemaOf("time", tInt64, "observed", tInt64, "severity", tUint8, "severity_text", tBinary, "body", tBinary,
	"event_name", tBinary, "attributes", tBinary, "trace_id", tBinary, "span_id", tBinary, "flags", tUint32, "dropped", tUint32,
	"seq", tUint64, "resource", tBinary, "scope", tBinary)

var spanSchema = schemaOf("trace_id", tBinary, "span_id", tBinary, "parent_id", tBinary, "trace_state", tBinary, "name", tBinary,
	"start", tInt64, "end", tInt64, "attributes", tBinary, "events", tBinary, "links", tBinary, "status_message", tBinary,
	"flags", tUint32, "dropped_attributes", tUint32, "dropped_events", tUint32, "dropped_links", tUint32, "kind", tUint8, "status", tUint8,
	"match", tUint64, "resource", tBinary, "scope", tBinary)

// columns appends to the builders of a record in the schema's order.
type columns struct {
	b  *array.RecordBuilder
	at int
}

func (c *columns) next() array.Builder {
	f := c.b.Field(c.at)
	c.at = (c.at + 1) % len(c.b.Fields())
	return f
}
func (c *columns) i64(v int64)  { c.next().(*array.Int64Builder).Append(v) }
func (c *columns) u64(v uint64) { c.next().(*array.Uint64Builder).Append(v) }
func (c *columns) u32(v uint32) { c.next().(*array.Uint32Builder).Append(v) }
func (c *columns) u8(v uint8)   { c.next().(*array.Uint8Builder).Append(v) }
func (c *columns) bin(v []byte) { c.next().(*array.BinaryBuilder).Append(v) }
func (c *columns) str(v string) { c.next().(*array.BinaryBuilder).AppendString(v) }

// encode writes rows as one Arrow IPC stream.
func encode(schema *arrow.Schema, fill func(*columns)) ([]byte, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	fill(&columns{b: b})
	rec := b.NewRecord()
	defer rec.Release()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema), ipc.WithZstd())
	if err := w.Write(rec); err != nil {
		return nil, fmt.Errorf("cannot encode a batch: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("cannot encode a batch: %w", err)
	}
	return buf.Bytes(), nil
}

// record gives access to the columns of a decoded record by the schema's order.
type record struct {
	rec arrow.Record
	at  int
	row int
}

func (r *record) next() arrow.Array {
	c := r.rec.Column(r.at)
	r.at = (r.at + 1) % int(r.rec.NumCols())
	return c
}
func (r *record) i64() int64  { return r.next().(*array.Int64).Value(r.row) }
func (r *record) u64() uint64 { return r.next().(*array.Uint64).Value(r.row) }
func (r *record) u32() uint32 { return r.next().(*array.Uint32).Value(r.row) }
func (r *record) u8() uint8   { return r.next().(*array.Uint8).Value(r.row) }
func (r *record) bin() []byte { return r.next().(*array.Binary).Value(r.row) }
func (r *record) str() string { return string(r.bin()) }

// decode reads an IPC stream of the given schema and calls row for each row.
func decode(schema *arrow.Schema, data []byte, row func(*record) error) (err error) {
	defer func() { // the Arrow reader panics on some damaged streams
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot decode a batch from a remote source: %v", p)
		}
	}()
	r, err := ipc.NewReader(bytes.NewReader(data), ipc.WithAllocator(memory.DefaultAllocator))
	if err != nil {
		return fmt.Errorf("cannot decode a batch from a remote source: %w", err)
	}
	defer r.Release()
	if !r.Schema().Equal(schema) {
		return fmt.Errorf("cannot decode a batch from a remote source: it has other columns than this version knows")
	}
	for r.Next() {
		rec := &record{rec: r.Record()}
		for rec.row = 0; rec.row < int(rec.rec.NumRows()); rec.row++ {
			rec.at = 0
			if err := row(rec); err != nil {
				return err
			}
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("cannot decode a batch from a remote source: %w", err)
	}
	return nil
}

// sharer makes equal resources and scopes of a batch one object again.
type sharer struct {
	resources map[string]*model.Resource
	scopes    map[string]*model.Scope
}

func newSharer() *sharer {
	return &sharer{map[string]*model.Resource{}, map[string]*model.Scope{}}
}

func (s *sharer) resource(b []byte) (*model.Resource, error) {
	if r, ok := s.resources[string(b)]; ok {
		return r, nil
	}
	rd := &reader{b: b}
	r := rd.resource()
	s.resources[string(b)] = r
	return r, rd.err
}

func (s *sharer) scope(b []byte) (*model.Scope, error) {
	if sc, ok := s.scopes[string(b)]; ok {
		return sc, nil
	}
	rd := &reader{b: b}
	sc := rd.scope()
	s.scopes[string(b)] = sc
	return sc, rd.err
}

func idBytes(id []byte) []byte {
	for _, c := range id {
		if c != 0 {
			return id
		}
	}
	return nil
}

// EncodeLogs writes log rows as an Arrow IPC stream.
func EncodeLogs(rows []model.LogRow) ([]byte, error) {
	var scratch []byte
	return encode(logSchema, func(c *columns) {
		for i := range rows {
			r := &rows[i]
			c.i64(r.Time)
			c.i64(r.Observed)
			c.u8(uint8(r.Severity))
			c.str(r.SeverityText)
			scratch = putValue(scratch[:0], r.Body)
			c.bin(scratch)
			c.str(r.EventName)
			scratch = putAttrs(scratch[:0], r.Attrs)
			c.bin(scratch)
			c.bin(idBytes(r.TraceID[:]))
			c.bin(idBytes(r.SpanID[:]))
			c.u32(r.Flags)
			c.u32(r.DroppedAttrs)
			c.u64(r.Seq)
			scratch = putResource(scratch[:0], r.Resource)
			c.bin(scratch)
			scratch = putScope(scratch[:0], r.Scope)
			c.bin(scratch)
		}
	})
}

// DecodeLogs reads what EncodeLogs wrote.
func DecodeLogs(data []byte) (rows []model.LogRow, err error) {
	share := newSharer()
	err = decode(logSchema, data, func(c *record) (err error) {
		var r model.LogRow
		r.Time, r.Observed, r.Severity, r.SeverityText = c.i64(), c.i64(), model.SeverityNumber(c.u8()), c.str()
		body := &reader{b: c.bin()}
		r.Body = body.value()
		r.EventName = c.str()
		attrs := &reader{b: c.bin()}
		r.Attrs = attrs.attrs()
		copy(r.TraceID[:], c.bin())
		copy(r.SpanID[:], c.bin())
		r.Flags, r.DroppedAttrs, r.Seq = c.u32(), c.u32(), c.u64()
		if r.Resource, err = share.resource(c.bin()); err != nil {
			return err
		}
		if r.Scope, err = share.scope(c.bin()); err != nil {
			return err
		}
		rows = append(rows, r)
		return firstError(body.err, attrs.err)
	})
	return rows, err
}

// EncodeSpans writes span rows as an Arrow IPC stream.
func EncodeSpans(rows []model.SpanRow) ([]byte, error) {
	var scratch []byte
	return encode(spanSchema, func(c *columns) {
		for i := range rows {
			r := &rows[i]
			c.bin(r.TraceID[:])
			c.bin(r.SpanID[:])
			c.bin(idBytes(r.ParentID[:]))
			c.str(r.TraceState)
			c.str(r.Name)
			c.i64(r.Start)
			c.i64(r.End)
			scratch = putAttrs(scratch[:0], r.Attrs)
			c.bin(scratch)
			scratch = putEvents(scratch[:0], r.Events)
			c.bin(scratch)
			scratch = putLinks(scratch[:0], r.Links)
			c.bin(scratch)
			c.str(r.StatusMessage)
			c.u32(r.Flags)
			c.u32(r.DroppedAttrs)
			c.u32(r.DroppedEvents)
			c.u32(r.DroppedLinks)
			c.u8(uint8(r.Kind))
			c.u8(uint8(r.Status))
			c.u64(r.Match)
			scratch = putResource(scratch[:0], r.Resource)
			c.bin(scratch)
			scratch = putScope(scratch[:0], r.Scope)
			c.bin(scratch)
		}
	})
}

// DecodeSpans reads what EncodeSpans wrote.
func DecodeSpans(data []byte) (rows []model.SpanRow, err error) {
	share := newSharer()
	err = decode(spanSchema, data, func(c *record) (err error) {
		var r model.SpanRow
		copy(r.TraceID[:], c.bin())
		copy(r.SpanID[:], c.bin())
		copy(r.ParentID[:], c.bin())
		r.TraceState, r.Name, r.Start, r.End = c.str(), c.str(), c.i64(), c.i64()
		attrs, events, links := &reader{b: c.bin()}, &reader{b: c.bin()}, &reader{b: c.bin()}
		r.Attrs, r.Events, r.Links = attrs.attrs(), events.events(), links.links()
		r.StatusMessage, r.Flags = c.str(), c.u32()
		r.DroppedAttrs, r.DroppedEvents, r.DroppedLinks = c.u32(), c.u32(), c.u32()
		r.Kind, r.Status, r.Match = model.SpanKind(c.u8()), model.StatusCode(c.u8()), c.u64()
		if r.Resource, err = share.resource(c.bin()); err != nil {
			return err
		}
		if r.Scope, err = share.scope(c.bin()); err != nil {
			return err
		}
		rows = append(rows, r)
		return firstError(attrs.err, events.err, links.err)
	})
	return rows, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
