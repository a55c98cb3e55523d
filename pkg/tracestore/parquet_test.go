package tracestore

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	parquetgo "github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// flushed returns the one block of a world with n spans, and its Parquet file.
func flushed(t *testing.T, seed uint64, n int) (*world, *blockReader, []byte) {
	w := newWorld(t, seed)
	w.bulk(n, 0)
	require.NoError(t, w.s.Flush(context.Background()))
	blocks := w.s.tenant(acme, true).blocks()
	require.Len(t, blocks, 1)
	raw, err := blocks[0].ReadFile(w.o.FS, fileSpans)
	require.NoError(t, err)
	return w, blocks[0], raw
}

// table is the truth as other readers should see it: a line a span, the columns
// that have a value by name.
func (w *world) table(b *blockReader) []string {
	side, err := b.sidecar()
	require.NoError(w.t, err)
	attrs := map[string]bool{}
	for _, c := range side.cols {
		attrs[c.name] = true
	}
	var out []string
	for _, r := range w.rows {
		cells := []string{
			"trace_id=" + r.TraceID.String(), "span_id=" + r.SpanID.String(), fmt.Sprint("start_time_unix_nano=", r.Start),
			fmt.Sprint("duration_nano=", r.End-r.Start), "service_name=" + r.Resource.Service(), "name=" + r.Name,
			fmt.Sprint("kind=", int(r.Kind)), fmt.Sprint("status_code=", int(r.Status)),
		}
		if !r.ParentID.IsZero() {
			cells = append(cells, "parent_span_id="+r.ParentID.String())
		}
		for _, a := range r.Attrs {
			name := attrCol(attrKey{a.Key, a.Value.Kind()}).name
			if attrs[name] && a.Value.Kind() != model.KindEmpty && a.Value.Kind() != model.KindBytes {
				cells = append(cells, name+"="+a.Value.Text())
			}
		}
		slices.Sort(cells)
		out = append(out, strings.Join(cells, "\x00"))
	}
	return out
}

// shown tells which columns table lists.
func shown(name string) bool {
	switch name {
	case "trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "duration_nano", "service_name", "name", "kind", "status_code":
		return true
	}
	return strings.HasPrefix(name, "attr.") && !strings.HasSuffix(name, ":bytes")
}

// TestParquetGoReadsBlocks reads a block with a library that shares no code
// with the writer.
func TestParquetGoReadsBlocks(t *testing.T) {
	w, b, raw := flushed(t, 5, groupRows+5000)
	defer func() { require.NoError(t, w.s.Close()) }()
	f, err := parquetgo.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	require.NoError(t, err)
	require.Len(t, f.RowGroups(), 2)
	resources, ok := f.Lookup("braid.resources")
	require.True(t, ok)
	require.Contains(t, resources, `"service.name":"svc-1"`)
	names := f.Schema().Columns()
	var got []string
	for _, g := range f.RowGroups() {
		rows := g.Rows()
		buf := make([]parquetgo.Row, 500)
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				var cells []string
				for _, v := range row {
					if name := strings.Join(names[v.Column()], "."); !v.IsNull() && shown(name) {
						cells = append(cells, name+"="+parquetGoText(name, v))
					}
				}
				slices.Sort(cells)
				got = append(got, strings.Join(cells, "\x00"))
			}
			if err != nil {
				break
			}
		}
		require.NoError(t, rows.Close())
	}
	sameLines(t, w.table(b), got)
}

func parquetGoText(name string, v parquetgo.Value) string {
	switch v.Kind() {
	case parquetgo.FixedLenByteArray:
		return hex.EncodeToString(v.Bytes())
	case parquetgo.ByteArray:
		return string(v.Bytes())
	case parquetgo.Int32:
		return fmt.Sprint(v.Int32())
	case parquetgo.Int64:
		return fmt.Sprint(v.Int64())
	case parquetgo.Double:
		return model.Double(v.Double()).Text()
	case parquetgo.Boolean:
		return fmt.Sprint(v.Boolean())
	}
	return name + "?"
}

// TestArrowReadsBlocks reads a block the way Arrow does, pages, dictionaries
// and footer.
func TestArrowReadsBlocks(t *testing.T) {
	w, b, raw := flushed(t, 6, 6000)
	defer func() { require.NoError(t, w.s.Close()) }()
	pf, err := file.NewParquetReader(bytes.NewReader(raw))
	require.NoError(t, err)
	r, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	require.NoError(t, err)
	tbl, err := r.ReadTable(context.Background())
	require.NoError(t, err)
	defer tbl.Release()
	lines := make([][]string, tbl.NumRows())
	for c := range int(tbl.NumCols()) {
		name := tbl.Column(c).Name()
		if !shown(name) {
			continue
		}
		at := 0
		for _, chunk := range tbl.Column(c).Data().Chunks() {
			for i := range chunk.Len() {
				if !chunk.IsNull(i) {
					lines[at] = append(lines[at], name+"="+arrowText(chunk, i))
				}
				at++
			}
		}
		require.Equal(t, len(lines), at, name)
	}
	var got []string
	for _, cells := range lines {
		slices.Sort(cells)
		got = append(got, strings.Join(cells, "\x00"))
	}
	sameLines(t, w.table(b), got)
}

func arrowText(a arrow.Array, i int) string {
	switch x := a.(type) {
	case *array.FixedSizeBinary:
		return hex.EncodeToString(x.Value(i))
	case *array.String:
		return x.Value(i)
	case *array.Int64:
		return fmt.Sprint(x.Value(i))
	case *array.Int32:
		return fmt.Sprint(x.Value(i))
	case *array.Float64:
		return model.Double(x.Value(i)).Text()
	case *array.Boolean:
		return fmt.Sprint(x.Value(i))
	}
	return fmt.Sprintf("%T?", a)
}

func sameLines(t *testing.T, want, got []string) {
	t.Helper()
	require.Len(t, got, len(want))
	slices.Sort(want)
	slices.Sort(got)
	for i := range want {
		if want[i] != got[i] {
			require.Equal(t, strings.Split(want[i], "\x00"), strings.Split(got[i], "\x00"))
		}
	}
}
