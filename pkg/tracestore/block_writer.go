package tracestore

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"braid/pkg/block"
	"braid/pkg/idindex"
	"braid/pkg/model"
)

// The files of a block.
const (
	fileSpans   = "spans.parquet"
	fileSidecar = "sidecar"
	fileIDs     = "ids" // and fileCalls
)

const signalSpans = "spans"

// maxAttrColumns bounds the attributes that get a column of their own: each
// costs some 15 bytes a page and 100 a row group whatever it holds. The others
// share the column of the rest.
const maxAttrColumns = 120

// minColumnRows is how many spans must carry an attribute before a column of
// its own is worth having.
const minColumnRows = 16

// blockBuilder writes one block out of row groups. Not safe for concurrent use.
type blockBuilder struct {
	w    *block.Writer
	file *block.FileWriter
	pw   *parquetWriter
	tab  *tableBuilder
	side sidecar
	ids  idindex.Builder
	keys keyFinder
	call *callCounter

	colAt map[attrKey]int32
	shape [][]int32 // block shape -> columns
	stats []statCounter

	// The rowset at hand and how its numbers map to the block's.
	from    *rows
	classOf []uint32    // +1
	local   []localCode // by text of the rowset
	now     uint32

	// Memory that goes from group to group.
	vecs    []vector
	classes []uint32 // by row of the group
	shapes  []uint32 // the same
	attrs   []uint32 // the same: where its cells are
	place   []int32  // by shape
	codeOf  []int32  // by class

	// The trace at hand, which may go on in the next row group.
	facts   factsBuilder
	per     serviceCounter
	spans   map[model.SpanID]uint32
	orphans []orphan
	minTime int64
	maxTime int64
	page    int // first of the row group at hand
}

type orphan struct {
	row    uint32
	parent model.SpanID
}

// keyCounts counts how many spans carry each attribute.
type keyCounts map[attrKey]int64

func (s *rows) countKeys(dst keyCounts) {
	perClass := make([]int64, len(s.classes))
	for i := range s.rows {
		perClass[s.rows[i].class]++
	}
	for c, n := range perClass {
		for _, k := range s.shapes[s.classes[c].shape] {
			dst[k] += n
		}
	}
}

// present says which of the droppable columns some span needs.
type present [colFixedCount]bool

func (s *rows) present(p *present) {
	for i := range s.rows {
		r := &s.rows[i]
		p[colMessage] = p[colMessage] || r.message != 0
		p[colState] = p[colState] || r.state != 0
		p[colFlags] = p[colFlags] || r.flags != 0
		p[colDroppedAttrs] = p[colDroppedAttrs] || r.droppedAttrs != 0
		p[colDroppedEvents] = p[colDroppedEvents] || r.droppedEvents != 0
		p[colDroppedLinks] = p[colDroppedLinks] || r.droppedLinks != 0
		p[colEvents] = p[colEvents] || r.events.len != 0
		p[colLinks] = p[colLinks] || r.links.len != 0
	}
}

// planColumns chooses the columns of a block.
func planColumns(counts keyCounts, p *present) []colDef {
	var cols []colDef
	p[colRest] = true
	for i := range fixedCols {
		if !droppable(i) || p[i] {
			cols = append(cols, fixedCols[i])
		}
	}
	keys := make([]attrKey, 0, len(counts))
	for k, n := range counts {
		if k.kind != model.KindEmpty && n >= minColumnRows {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b attrKey) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
	used := map[string]bool{}
	for _, k := range keys[:min(len(keys), maxAttrColumns)] {
		if d := attrCol(k); !used[d.name] {
			used[d.name] = true
			cols = append(cols, d)
		}
	}
	return cols
}

// blockSize says how much there may be of what a sidecar lists by trace: room for
// so much is made at once.
type blockSize struct{ traces, services int }

// newBlockBuilder begins a block; about says how many spans there may be, and
// between which times they start.
func newBlockBuilder(w *block.Writer, cols []colDef, spec *model.KeySpec, about block.Meta, size blockSize) (*blockBuilder, error) {
	f, err := w.Create(fileSpans)
	if err != nil {
		return nil, err
	}
	pw, err := newParquetWriter(f, cols)
	if err != nil {
		return nil, err
	}
	b := &blockBuilder{
		w: w, file: f, pw: pw, tab: newTableBuilder(), keys: newKeyFinder(spec), ids: idindex.Builder{FingerprintBits: idindex.BlockFingerprintBits},
		call: newCallCounter(about.MinTime, about.MaxTime), colAt: columnIndex(cols), stats: make([]statCounter, len(cols)), spans: map[model.SpanID]uint32{},
	}
	b.side.cols = cols
	rows := int(about.Rows)
	b.side.class, b.side.second, b.side.parent = newNumbers(rows), newNumbers(rows), newNumbers(rows)
	for i := range b.side.fixedAt {
		b.side.fixedAt[i] = noColumn
	}
	for i := range cols {
		if f := fixedColumn(&cols[i]); f >= 0 {
			b.side.fixedAt[f] = int32(i)
		}
	}
	n := size.traces
	b.side.traces = traceTable{
		ids: make([]model.TraceID, 0, n), first: append(make([]uint32, 0, n+1), 0), start: make([]int64, 0, n), end: make([]int64, 0, n),
		root: make([]rootSpan, 0, n), errors: make([]uint32, 0, n), services: make([]byte, 0, size.services), service0: append(make([]uint32, 0, n+1), 0),
	}
	return b, nil
}

// group writes one row group: the rows of order, which hold whole traces, or
// pieces of one that goes on in the next group. All but the last group have
// groupRows rows.
func (b *blockBuilder) group(from *rows, order []uint32) error {
	b.bind(from)
	base := uint32(b.side.rows)
	b.page = b.side.rows / pageRows
	classes := again(&b.classes, len(order))
	for i, n := range order {
		r := &from.rows[n]
		c := b.class(r.class)
		classes[i] = c
		b.side.class.add(c)
		b.track(base+uint32(i), r, c)
		b.call.span(from, n)
	}
	b.side.rows += len(order)
	vecs := b.vectors(order, classes)
	b.pw.beginGroup()
	for i := range vecs {
		if err := b.pw.column(&vecs[i]); err != nil {
			return err
		}
	}
	return b.pw.endGroup(len(order))
}

// bind makes rows the ones that numbers refer to. The same ones may come again
// with more classes and other texts.
func (b *blockBuilder) bind(from *rows) {
	if b.from != from {
		b.from = from
		b.classOf = b.classOf[:0]
	}
	b.classOf = append(b.classOf, make([]uint32, len(from.classes)-len(b.classOf))...)
	if n := from.texts.len(); n > len(b.local) {
		b.local = make([]localCode, n+n/2)
		b.now = 0
	}
}

func (b *blockBuilder) class(c uint32) uint32 {
	if b.classOf[c] == 0 {
		b.classOf[c] = b.tab.adopt(&b.from.tables, c) + 1
		for s := len(b.shape); s < len(b.tab.shapes); s++ {
			b.shape = append(b.shape, shapeColumns(b.colAt, b.tab.shapes[s]))
		}
	}
	return b.classOf[c] - 1
}

// track puts a row into what the sidecar and the id index keep.
func (b *blockBuilder) track(row uint32, r *row, class uint32) {
	id := b.from.trs[r.trace].id
	tt := &b.side.traces
	if n := len(tt.ids); n == 0 || tt.ids[n-1] != id {
		b.endTrace(row)
		tt.ids = append(tt.ids, id)
		b.facts.facts = model.TraceFacts{ID: id}
		b.call.begin(id)
	}
	page := row / pageRows
	c := &b.tab.classes[class]
	failed := c.status == uint8(model.StatusError)
	b.facts.brief(r.start, r.end, !r.parent.IsZero(), b.tab.services[c.resource], b.tab.names.strtab.str(c.name), failed)
	b.per.add(c.resource, b.tab, failed)
	b.ids.Add(b.keys.trace.HashHex(id), page)
	b.keys.row(b.from, r, func(hash uint64) { b.ids.Add(hash, page) })
	b.link(row, r, c.kind)
	b.times(row, r)
}

func (b *blockBuilder) times(row uint32, r *row) {
	s := &b.side
	if row == 0 {
		s.base = floorDiv(r.start, 1e9)
		b.minTime, b.maxTime = r.start, r.start
	}
	b.minTime, b.maxTime = min(b.minTime, r.start), max(b.maxTime, r.start)
	s.second.add(uint32(floorDiv(r.start, 1e9) - s.base))
	d := max(0, r.end-r.start)
	if row%pageRows == 0 {
		s.zones = append(s.zones, zone{r.start, r.start, d})
		return
	}
	z := &s.zones[len(s.zones)-1]
	z.minStart, z.maxStart, z.maxDuration = min(z.minStart, r.start), max(z.maxStart, r.start), max(z.maxDuration, d)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// link notes the row's parent, now or when the trace ends. Two spans of one id
// are the client's and the server's side of one call (Zipkin): the server's
// has the client's as its parent, and children belong to the server's.
func (b *blockBuilder) link(row uint32, r *row, kind uint8) {
	b.side.parent.add(0)
	other, shared := b.spans[r.spanID]
	client := kind == uint8(model.SpanKindClient)
	switch {
	case !shared:
		b.spans[r.spanID] = row
	case !client && b.kindOf(other) == model.SpanKindClient:
		b.spans[r.spanID] = row
		b.side.setParent(row, other+1)
		return
	case client && b.kindOf(other) == model.SpanKindServer:
		b.side.setParent(other, row+1)
	}
	if !r.parent.IsZero() && r.parent != r.spanID {
		b.orphans = append(b.orphans, orphan{row, r.parent})
	}
}

// kindOf is asked of rows of the trace at hand, the last one included.
func (b *blockBuilder) kindOf(row uint32) model.SpanKind {
	if int(row) < b.side.class.len() {
		return model.SpanKind(b.tab.classes[b.side.class.at(row)].kind)
	}
	return model.SpanKindUnspecified
}

// endTrace closes the trace whose rows end before row.
func (b *blockBuilder) endTrace(row uint32) {
	tt := &b.side.traces
	if len(tt.ids) == 0 {
		return
	}
	for _, o := range b.orphans {
		if p, ok := b.spans[o.parent]; ok && p != o.row && b.side.parent.at(o.row) == 0 {
			b.side.setParent(o.row, p+1)
		}
	}
	b.orphans = b.orphans[:0]
	clear(b.spans)
	first := tt.first[len(tt.first)-1]
	b.call.trace(func(i int) uint32 {
		if p := b.side.parentOf(first + uint32(i)); p > first {
			return p - first
		}
		return 0
	})
	f := &b.facts.facts
	tt.first = append(tt.first, row)
	tt.start, tt.end = append(tt.start, f.Start), append(tt.end, f.End)
	tt.root = append(tt.root, rootSpan{
		service: b.tab.names.intern(f.RootService), name: b.tab.names.intern(f.RootName), start: f.RootStart, duration: f.RootDuration,
	})
	tt.errors = append(tt.errors, uint32(f.Errors))
	tt.services = b.per.take(tt.services, b.tab)
	tt.service0 = append(tt.service0, uint32(len(tt.services)))
}

// serviceCounter counts the spans of a trace by service, without a map a trace.
type serviceCounter struct {
	of   []uint32          // by resource: the number of its service, +1
	nums map[string]uint32 // by service
	met  []int32           // by number of a service: its place in list, +1
	list []countedService
}

type countedService struct {
	name  string
	num   uint32
	stats serviceStat
}

func (p *serviceCounter) add(resource uint32, tab *tableBuilder, failed bool) {
	for int(resource) >= len(p.of) {
		p.of = append(p.of, 0)
	}
	if p.of[resource] == 0 {
		p.of[resource] = p.number(tab.services[resource]) + 1
	}
	num := p.of[resource] - 1
	if p.met[num] == 0 {
		p.list = append(p.list, countedService{name: tab.services[resource], num: num})
		p.met[num] = int32(len(p.list))
	}
	s := &p.list[p.met[num]-1].stats
	s.spans++
	if failed {
		s.errors++
	}
}

func (p *serviceCounter) number(name string) uint32 {
	n, ok := p.nums[name]
	if !ok {
		if p.nums == nil {
			p.nums = map[string]uint32{}
		}
		n = uint32(len(p.met))
		p.nums[name], p.met = n, append(p.met, 0)
	}
	return n
}

// take appends what was counted, by name, and begins anew.
func (p *serviceCounter) take(dst []byte, tab *tableBuilder) []byte {
	slices.SortFunc(p.list, func(a, b countedService) int { return cmp.Compare(a.name, b.name) })
	for i := range p.list {
		x := &p.list[i]
		x.stats.service = tab.names.intern(x.name)
		dst = x.stats.append(dst)
		p.met[x.num] = 0
	}
	p.list = p.list[:0]
	return dst
}

// finish writes the rest of the block and returns its meta, positions and
// level still to be set.
func (b *blockBuilder) finish() (block.Meta, error) {
	b.endTrace(uint32(b.side.rows))
	b.side.tables = b.tab.snapshot()
	notes, err := b.notes()
	if err != nil {
		return block.Meta{}, err
	}
	if err := b.pw.close(notes); err != nil {
		return block.Meta{}, err
	}
	if err := b.file.Close(); err != nil {
		return block.Meta{}, err
	}
	b.side.chunks = b.pw.chunks
	b.side.names, b.side.idKeys = b.keys.seen(b.tab.shapes)
	for i := range b.stats {
		if b.stats[i].rows > 0 {
			b.side.stats = append(b.side.stats, b.stats[i].stat(b.side.cols[i].key, b.side.pages()))
		}
	}
	if err := b.writeSidecar(); err != nil {
		return block.Meta{}, err
	}
	ids, err := b.ids.Build()
	if err != nil {
		return block.Meta{}, err
	}
	if err := b.w.WriteFile(fileIDs, ids); err != nil {
		return block.Meta{}, err
	}
	if err := b.w.WriteFile(fileCalls, b.call.known.encode(b.pw.zstd)); err != nil {
		return block.Meta{}, err
	}
	m := block.Meta{Signal: signalSpans, MinTime: b.minTime, MaxTime: b.maxTime, Rows: int64(b.side.rows)}
	return m, m.SetStat("traces", b.side.traces.len())
}

func (b *blockBuilder) writeSidecar() error {
	f, err := b.w.Create(fileSidecar)
	if err != nil {
		return err
	}
	return errors.Join(b.side.encode(f, b.pw.zstd), f.Close())
}

// notes tell other readers of the Parquet file what the numbers in its columns
// resource and scope stand for.
func (b *blockBuilder) notes() (map[string]string, error) {
	type item struct {
		Name       string                 `json:"name,omitempty"`
		Version    string                 `json:"version,omitempty"`
		Attributes map[string]model.Value `json:"attributes"`
	}
	set := func(a model.Attrs) map[string]model.Value {
		m := make(map[string]model.Value, len(a))
		for _, x := range a {
			m[x.Key] = x.Value
		}
		return m
	}
	var resources, scopes []item
	for _, r := range b.tab.resources {
		resources = append(resources, item{Attributes: set(r.Attrs)})
	}
	for _, s := range b.tab.scopes {
		scopes = append(scopes, item{Name: s.Name, Version: s.Version, Attributes: set(s.Attrs)})
	}
	rj, err := json.Marshal(resources)
	if err != nil {
		return nil, fmt.Errorf("cannot describe the resources: %w", err)
	}
	sj, err := json.Marshal(scopes)
	if err != nil {
		return nil, fmt.Errorf("cannot describe the scopes: %w", err)
	}
	return map[string]string{"braid.resources": string(rj), "braid.scopes": string(sj)}, nil
}
