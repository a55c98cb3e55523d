package plugin

import (
	"context"
	"strconv"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

const (
	// chunkRows is how many rows one part of a streamed answer has.
	chunkRows = 1000
	// maxStreamed bounds the lines of one streamed query.
	maxStreamed = 100_000
)

// QueryChunkedData answers in parts. Log lines are asked for page by page, so
// that the first are shown while the rest is read, and so that a limit beyond one
// page can be had; other answers are cut into parts of chunkRows.
func (d *Datasource) QueryChunkedData(ctx context.Context, req *backend.QueryChunkedDataRequest, w backend.ChunkedDataWriter) error {
	for _, raw := range req.Queries {
		if err := d.chunked(ctx, raw, w); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r := failed(err)
			if err := w.WriteError(ctx, raw.RefID, r.Status, r.Error); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Datasource) chunked(ctx context.Context, raw backend.DataQuery, w backend.ChunkedDataWriter) error {
	q, err := decode(raw)
	if err != nil {
		return err
	}
	if q.QueryType == typeLogQL && isLines(q.Expr) && !q.Instant {
		return d.chunkedLines(ctx, raw, q, w)
	}
	frames, err := d.answer(ctx, q)
	if err != nil {
		return err
	}
	for i, f := range frames {
		f.RefID = raw.RefID
		if err := writeParts(ctx, w, raw.RefID, strconv.Itoa(i), f); err != nil {
			return err
		}
	}
	return nil
}

// writeParts writes a frame in parts; only the first carries what is no row.
func writeParts(ctx context.Context, w backend.ChunkedDataWriter, refID, id string, f *data.Frame) error {
	n := 0
	if len(f.Fields) > 0 {
		n = f.Fields[0].Len()
	}
	for from := 0; from == 0 || from < n; from += chunkRows {
		part := f
		if n > chunkRows {
			part = slice(f, from, min(n, from+chunkRows))
		}
		if err := w.WriteFrame(ctx, refID, id, part); err != nil {
			return err
		}
	}
	return nil
}

func slice(f *data.Frame, from, to int) *data.Frame {
	out := f.EmptyCopy()
	out.RefID, out.Meta = f.RefID, f.Meta
	for i, field := range f.Fields {
		out.Fields[i].Config = field.Config
		out.Fields[i].Extend(to - from)
		for k := from; k < to; k++ {
			out.Fields[i].Set(k-from, field.CopyAt(k))
		}
	}
	return out
}

// chunkedLines pages through lines. A page ends where the next begins: the lines
// of the last nanosecond are asked again and left out, as many as were had.
func (d *Datasource) chunkedLines(ctx context.Context, raw backend.DataQuery, q question, w backend.ChunkedDataWriter) error {
	var asked struct {
		Limit int `json:"limit"`
	}
	if err := unmarshal(raw.JSON, &asked); err != nil {
		return err
	}
	left := min(max(asked.Limit, defaultLimit), maxStreamed)
	had := map[string]bool{}
	for first := true; left > 0; first = false {
		q.Limit = min(left+len(had), chunkRows+len(had))
		frames, err := d.logql(ctx, q)
		if err != nil {
			return err
		}
		f := frames[0]
		f.RefID = raw.RefID
		page := f.Rows()
		fresh := without(f, had)
		if page == 0 || (fresh.Rows() == 0 && !first) {
			if first {
				return w.WriteFrame(ctx, raw.RefID, "0", f)
			}
			return nil
		}
		left -= fresh.Rows()
		if err := w.WriteFrame(ctx, raw.RefID, "0", fresh); err != nil {
			return err
		}
		if page < q.Limit {
			return nil
		}
		q, had = after(q, f)
	}
	return nil
}

// without leaves out lines whose ids were had.
func without(f *data.Frame, had map[string]bool) *data.Frame {
	if len(had) == 0 {
		return f
	}
	ids, _ := f.FieldByName("id")
	out := f.EmptyCopy()
	out.RefID, out.Meta = f.RefID, f.Meta
	for i, field := range f.Fields {
		out.Fields[i].Config = field.Config
	}
	for i := range f.Rows() {
		if !had[ids.At(i).(string)] {
			out.AppendRow(f.RowCopy(i)...)
		}
	}
	return out
}

// after moves a query behind the lines of a page; it returns the ids of the
// nanosecond at which the page ended.
func after(q question, f *data.Frame) (question, map[string]bool) {
	times, ids := f.Fields[0], map[string]bool{}
	id, _ := f.FieldByName("id")
	edge := times.At(0).(time.Time)
	for i := range f.Rows() {
		at := times.At(i).(time.Time)
		if (q.Direction == "forward") == at.After(edge) {
			edge = at
		}
	}
	for i := range f.Rows() {
		if times.At(i).(time.Time).Equal(edge) {
			ids[id.At(i).(string)] = true
		}
	}
	if q.Direction == "forward" {
		q.from = edge
	} else {
		// The end of a range is exclusive.
		q.to = edge.Add(1)
	}
	return q, ids
}
