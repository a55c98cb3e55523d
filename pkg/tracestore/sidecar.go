package tracestore

import (
	"encoding/binary"
	"slices"
	"sort"
	"sync/atomic"

	"braid/pkg/model"
)

// sidecar is what the store knows of a block beside its Parquet file: enough to
// decide most filters and counts without opening that at all. It is immutable.
type sidecar struct {
	tables
	rows      int
	cols      []colDef
	chunks    [][]chunk // by row group, then column
	colOf     [][]int32 // by shape and attribute: its column, or noColumn
	fixedAt   [colFixedCount]int32
	class     numbers  // by row
	classRows []uint32 // by class: how many rows
	second    numbers  // by row: start in whole seconds since base
	parent    numbers  // by row: how far before it its parent is, zigzag; 0 when not here
	base      int64    // Unix seconds
	zones     []zone   // by page
	traces    traceTable
	stats     []fieldStat
	// idKeys are the attributes, by kind, whose ids the id index has; names are
	// all the attributes of spans and events that were there to be looked at.
	idKeys map[string]string
	names  []string
	graphs atomic.Pointer[minuteGraphs]
	within atomic.Pointer[[]partCount] // attributes of events and links
}

const noColumn = -1

// zone bounds the spans of a page. Times are Unix ns, durations ns.
type zone struct {
	minStart, maxStart int64
	maxDuration        int64
}

// traceTable lists the traces of a block, in the order of their rows: by start,
// then id.
type traceTable struct {
	ids      []model.TraceID
	first    []uint32 // row; one entry more, for the end
	start    []int64
	end      []int64
	root     []rootSpan
	errors   []uint32
	services []byte   // of each trace: number, spans and errors of each service, as uvarints
	service0 []uint32 // where a trace's begin in services; one entry more
}

// eachService visits the services of a trace.
func (t *traceTable) eachService(i uint32, visit func(serviceStat)) {
	d := dec{b: t.services[t.service0[i]:t.service0[i+1]]}
	for len(d.b) > 0 && d.err == nil {
		visit(serviceStat{d.u32(), d.u32(), d.u32()})
	}
}

func (x serviceStat) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(x.service))
	b = binary.AppendUvarint(b, uint64(x.spans))
	return binary.AppendUvarint(b, uint64(x.errors))
}

// parentOf returns the row of the parent of a row, +1; 0 when it is not here.
func (s *sidecar) parentOf(row uint32) uint32 {
	z := s.parent.at(row)
	if z == 0 {
		return 0
	}
	return uint32(int64(row) + 1 - (int64(z>>1) ^ -int64(z&1)))
}

// setParent notes what parentOf returns.
func (s *sidecar) setParent(row, parent uint32) {
	d := int64(row) + 1 - int64(parent)
	s.parent.set(row, uint32(d<<1^d>>63))
}

// rootSpan is the root as far as the block knows it; name 0 means none.
type rootSpan struct {
	service, name   uint32 // texts of the tables
	start, duration int64
}

type serviceStat struct{ service, spans, errors uint32 }

func (t *traceTable) len() int { return len(t.ids) }

// ofRow returns the trace that a row belongs to.
func (t *traceTable) ofRow(row uint32) uint32 {
	return uint32(sort.Search(len(t.ids), func(i int) bool { return t.first[i+1] > row }))
}

func (s *sidecar) facts(t uint32) model.TraceFacts {
	tt := &s.traces
	f := s.brief(t)
	f.Services = map[string]model.ServiceStats{}
	tt.eachService(t, func(x serviceStat) {
		f.Services[s.strs.str(x.service)] = model.ServiceStats{Spans: int(x.spans), Errors: int(x.errors)}
	})
	return f
}

// brief is facts without Services.
func (s *sidecar) brief(t uint32) model.TraceFacts {
	tt := &s.traces
	r := tt.root[t]
	return model.TraceFacts{
		ID: tt.ids[t], Start: tt.start[t], End: tt.end[t],
		RootService: s.strs.str(r.service), RootName: s.strs.str(r.name), RootStart: r.start, RootDuration: r.duration,
		Spans: int(tt.first[t+1] - tt.first[t]), Errors: int(tt.errors[t]),
	}
}

// bytes tells about how much memory the sidecar takes.
func (s *sidecar) bytes() int64 {
	n := s.class.bytes() + s.second.bytes() + s.parent.bytes() + 120*int64(s.traces.len()) + int64(len(s.traces.services)) + int64(len(s.strs.data)) + 64*int64(len(s.classes))
	for _, g := range s.chunks {
		n += int64(len(g)) * 160
	}
	return n + 4096
}

// fieldStat counts a span attribute in a block: SpanFields answers from it.
type fieldStat struct {
	key    attrKey
	rows   int64
	values []valueStat // the most frequent values, if they are few
	whole  bool        // values are all that there are
}

type valueStat struct {
	value model.Value
	rows  int64
	pages pageSet // the pages that have the value; nil: not counted, too many
}

// bindColumns finds the column of every attribute of every shape, and counts
// the rows of the classes.
func (s *sidecar) bindColumns() {
	s.classRows = make([]uint32, len(s.classes))
	for i := range uint32(s.class.len()) {
		s.classRows[s.class.at(i)]++
	}
	at := columnIndex(s.cols)
	s.colOf = make([][]int32, len(s.shapes))
	for i, sh := range s.shapes {
		s.colOf[i] = shapeColumns(at, sh)
	}
}

// compact returns the sidecar without the slack of what a builder grew, its
// columns bound. It shares with the builder's what has none.
func (s *sidecar) compact() *sidecar {
	t := &s.traces
	out := &sidecar{
		tables: s.tables, rows: s.rows, cols: s.cols, chunks: s.chunks, fixedAt: s.fixedAt,
		class: s.class.fitted(), second: s.second.fitted(), parent: s.parent.fitted(),
		base: s.base, zones: fitted(s.zones), stats: s.stats, idKeys: s.idKeys, names: s.names,
		traces: traceTable{
			ids: fitted(t.ids), first: fitted(t.first), start: fitted(t.start), end: fitted(t.end),
			root: fitted(t.root), errors: fitted(t.errors), services: fitted(t.services), service0: fitted(t.service0),
		},
	}
	out.bindColumns()
	return out
}

// fitted copies a list when a sixteenth of its memory or more is unused.
func fitted[T any](s []T) []T {
	if cap(s)-len(s) < cap(s)/16 {
		return s
	}
	return slices.Clone(s)
}

func columnIndex(cols []colDef) map[attrKey]int32 {
	at := make(map[attrKey]int32, len(cols))
	for i := range cols {
		if fixedColumn(&cols[i]) < 0 {
			at[cols[i].key] = int32(i)
		}
	}
	return at
}

// shapeColumns returns the column of each attribute; the second of two equal
// keys, which OTLP forbids, has none.
func shapeColumns(at map[attrKey]int32, sh shape) []int32 {
	out := make([]int32, len(sh))
	for k, key := range sh {
		c, ok := at[key]
		if !ok || slices.Contains(sh[:k], key) {
			c = noColumn
		}
		out[k] = c
	}
	return out
}
