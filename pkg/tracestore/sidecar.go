package tracestore

import (
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
	class     []uint32 // by row
	classRows []uint32 // by class: how many rows
	second    []uint32 // by row: start in whole seconds since base
	parent    []uint32 // by row: its parent's row in the block, +1; 0 when not here
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
	services []serviceStat
	service0 []uint32 // first of services; one entry more
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
	f.Services = make(map[string]model.ServiceStats, tt.service0[t+1]-tt.service0[t])
	for _, x := range tt.services[tt.service0[t]:tt.service0[t+1]] {
		f.Services[s.strs.str(x.service)] = model.ServiceStats{Spans: int(x.spans), Errors: int(x.errors)}
	}
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
	n := 12*int64(s.rows) + 120*int64(s.traces.len()) + 12*int64(len(s.traces.services)) + int64(len(s.strs.data)) + 64*int64(len(s.classes))
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
	for _, c := range s.class {
		s.classRows[c]++
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
		class: fitted(s.class), second: fitted(s.second), parent: fitted(s.parent),
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
