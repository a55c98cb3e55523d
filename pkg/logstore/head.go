package logstore

import (
	"math"
	"strings"
	"sync"
	"time"

	"braid/pkg/model"
)

const (
	// defaultChunkRows is how many rows share the vectors of a chunk of the head: row
	// numbers fit 16 bits, and a scan has enough chunks to share out.
	defaultChunkRows = 4096
	// chunkBytes seals a chunk of big bodies early.
	chunkBytes = 8 << 20
	// maxDict is how many different strings a head's column may have before its
	// values are kept as they are.
	maxDict = 4096
	// maxDictString keeps long texts out of dictionaries.
	maxDictString = 512
)

// head holds the newest rows of a tenant as columns. Rows are appended under mu;
// a snapshot is taken under mu and read without it, since what it shows only
// grows.
type head struct {
	gen       uint32 // high half of every Seq
	born      time.Time
	chunkRows int
	writing   bool // a flush is under way; guarded by the tenant's mu
	ids       headIDs
	fields    knownFields

	mu        sync.Mutex // guards all below
	cols      []headColumn
	byName    map[string]*[8]int32 // attributes: column + 1 by kind
	fixed     fixedColumns
	shape     []int // columns of the last record's attributes, as a guess
	streams   []stream
	streamIDs map[string]uint32
	chunks    []*chunk
	positions model.PositionSet
	rows      int
	bytes     int64
	minT      int64
	maxT      int64
	ties      uint32 // rows so far with time maxT, less one
	plain     map[columnKey]bool
	keyBuf    []byte
	sealed    bool // no more appends
}

type headColumn struct {
	key  columnKey
	dict *growingDict // nil: values are kept as they are
}

// chunk is a run of rows of a head; the last one of a head grows.
type chunk struct {
	rows       int
	minT, maxT int64
	bytes      int
	vecs       []*vector
}

// fixedColumns are the columns that nearly every row has.
type fixedColumns struct {
	time, observed, seqLo, stream, severity, sevText, event, flags, dropped, trace, span int
	body                                                                                 [8]int // + 1 by kind
}

// newHead makes a head; plain names the columns that the last head found too
// varied for a dictionary.
func newHead(gen uint32, born time.Time, plain map[columnKey]bool, chunkRows int) *head {
	h := &head{gen: gen, born: born, chunkRows: chunkRows, byName: map[string]*[8]int32{}, streamIDs: map[string]uint32{},
		minT: math.MaxInt64, maxT: math.MinInt64, plain: plain}
	num := func(name string) int { return h.addColumn(columnKey{true, name, model.KindInt}) }
	str := func(name string) int { return h.addColumn(columnKey{true, name, model.KindString}) }
	// What is often read together lies together in a block's pages.
	h.fixed.observed, h.fixed.seqLo = num(colObserved), num(colSeqLo)
	h.fixed.time, h.fixed.severity, h.fixed.stream = num(colTime), num(colSeverity), num(colStream)
	h.fixed.sevText, h.fixed.event = str(colSevText), str(colEvent)
	h.fixed.flags, h.fixed.dropped = num(colFlags), num(colDropped)
	h.fixed.trace, h.fixed.span = str(colTrace), str(colSpan)
	return h
}

func (h *head) addColumn(k columnKey) int {
	c := headColumn{key: k}
	if hasText(k.kind) && !h.plain[k] && !(k.intrinsic && (k.name == colBody || k.name == colTrace || k.name == colSpan)) {
		c.dict = &growingDict{codes: map[string]uint32{}}
	}
	h.cols = append(h.cols, c)
	return len(h.cols) - 1
}

func hasText(k model.ValueKind) bool {
	return k == model.KindString || k == model.KindBytes || k == model.KindArray || k == model.KindMap
}

// growingDict numbers strings as they come.
type growingDict struct {
	vals  []string
	codes map[string]uint32
	cache [256]uint32 // code + 1 by a cheap hash
}

// code returns the number of a string, giving it one if need be; ok is false
// when there are too many already.
func (d *growingDict) code(s string) (code uint32, ok bool) {
	slot := &d.cache[cheapHash(s)]
	if *slot != 0 && d.vals[*slot-1] == s {
		return *slot - 1, true
	}
	code, ok = d.codes[s]
	if !ok {
		if len(d.vals) >= maxDict || len(s) > maxDictString {
			return 0, false
		}
		code = uint32(len(d.vals))
		s = strings.Clone(s)
		d.vals = append(d.vals, s)
		d.codes[s] = code
	}
	*slot = code + 1
	return code, true
}

func cheapHash(s string) uint8 {
	if len(s) == 0 {
		return 0
	}
	n := len(s)
	h := uint32(n)*31 + uint32(s[n-1]) + uint32(s[n/2])*7 + uint32(s[0])*13
	if n > 2 {
		h += uint32(s[n-2]) * 17
	}
	return uint8(h ^ h>>8)
}

// streamID numbers a resource and scope, copying them when they are new.
func (h *head) streamID(r *model.Resource, s *model.Scope) uint32 {
	h.keyBuf = appendStream(h.keyBuf[:0], stream{r, s})
	if id, ok := h.streamIDs[string(h.keyBuf)]; ok {
		return id
	}
	key := string(h.keyBuf)
	st, _, err := readStream([]byte(key)) // a deep copy that shares nothing with the payload
	if err != nil {
		st = stream{&model.Resource{}, &model.Scope{}}
	}
	id := uint32(len(h.streams))
	h.streams = append(h.streams, st)
	h.streamIDs[key] = id
	return id
}

// active returns the chunk to append to.
func (h *head) active() *chunk {
	var last *chunk
	if n := len(h.chunks); n > 0 {
		last = h.chunks[n-1]
		if last.rows < h.chunkRows && last.bytes < chunkBytes {
			return last
		}
		h.sealChunk(last)
	}
	c := &chunk{minT: math.MaxInt64, maxT: math.MinInt64}
	if last != nil {
		c.vecs = make([]*vector, len(last.vecs))
		for i, v := range last.vecs {
			if v != nil && v.n*2 > last.rows {
				c.vecs[i] = roomLike(v, h.chunkRows)
			}
		}
	}
	h.chunks = append(h.chunks, c)
	return c
}

// sealChunk fixes what the chunk's codes stand for.
func (h *head) sealChunk(c *chunk) {
	for i, v := range c.vecs {
		if v != nil && v.form == formDict {
			v.dict = h.cols[i].dict.vals
		}
	}
}

// roomLike makes an empty vector with room for as much as v holds.
func roomLike(v *vector, chunkRows int) *vector {
	w := &vector{form: v.form, kind: v.kind, size: v.size}
	switch v.form {
	case formDict:
		w.codes = make([]uint32, 0, chunkRows)
	case formNums:
		w.nums = make([]uint64, 0, chunkRows)
	case formText:
		w.offs = make([]uint32, 1, chunkRows+1)
		w.data = make([]byte, 0, len(v.data)+len(v.data)/8)
	case formFixed:
		w.data = make([]byte, 0, chunkRows*v.size)
	}
	return w
}

// vec returns a column's vector in a chunk, to which the value of row may be
// appended; nil when the row has one already.
func (h *head) vec(c *chunk, col, row int) *vector {
	for len(c.vecs) <= col {
		c.vecs = append(c.vecs, nil)
	}
	v := c.vecs[col]
	if v == nil {
		hc := &h.cols[col]
		v = &vector{kind: hc.key.kind}
		switch {
		case hc.key.intrinsic && hc.key.name == colTrace:
			v.form, v.size = formFixed, 16
		case hc.key.intrinsic && hc.key.name == colSpan:
			v.form, v.size = formFixed, 8
		case hc.dict != nil:
			v.form = formDict
		case hasText(hc.key.kind):
			v.form = formText
			v.offs = append(v.offs, 0)
		case hc.key.kind != model.KindEmpty:
			v.form = formNums
		}
		c.vecs[col] = v
	}
	if v.rows == nil && v.n < row {
		v.rows = make([]uint16, v.n, max(16, 2*v.n))
		for i := range v.rows {
			v.rows[i] = uint16(i)
		}
	}
	if v.rows != nil {
		if v.n > 0 && int(v.rows[v.n-1]) == row {
			return nil
		}
		v.rows = append(v.rows, uint16(row))
	} else if v.n > row {
		return nil
	}
	v.n++
	return v
}

func (h *head) putNum(c *chunk, col, row int, x uint64) {
	if v := h.vec(c, col, row); v != nil {
		v.nums = append(v.nums, x)
	}
}

func (h *head) putText(c *chunk, col, row int, s string) {
	v := h.vec(c, col, row)
	if v == nil {
		return
	}
	if v.form == formDict {
		if code, ok := h.cols[col].dict.code(s); ok {
			v.codes = append(v.codes, code)
			return
		}
		h.overflow(c, col, v)
		v = c.vecs[col]
	}
	v.data = append(v.data, s...)
	v.offs = append(v.offs, uint32(len(v.data)))
	c.bytes += len(s)
}

// overflow gives a column's dictionary up, from this chunk on. Snapshots keep
// the old vector.
func (h *head) overflow(c *chunk, col int, v *vector) {
	dict := h.cols[col].dict.vals
	h.cols[col].dict = nil
	t := &vector{form: formText, kind: v.kind, rows: v.rows, n: v.n, offs: make([]uint32, 1, h.chunkRows+1)}
	for _, code := range v.codes {
		t.data = append(t.data, dict[code]...)
		t.offs = append(t.offs, uint32(len(t.data)))
	}
	c.vecs[col] = t
}

// append takes one record of a stream.
func (h *head) append(st uint32, r *model.LogRecord, lim Limits) (cut bool) {
	c := h.active()
	row := c.rows
	f := &h.fixed
	h.putNum(c, f.time, row, uint64(r.Time))
	h.putNum(c, f.observed, row, uint64(r.Observed-r.Time))
	h.putNum(c, f.seqLo, row, uint64(h.nextSeq(r.Time)))
	h.putNum(c, f.stream, row, uint64(st))
	if r.Severity != 0 {
		h.putNum(c, f.severity, row, uint64(r.Severity))
	}
	if r.SeverityText != "" {
		h.putText(c, f.sevText, row, clip(r.SeverityText, lim.MaxRecordBytes, &cut))
	}
	if r.EventName != "" {
		h.putText(c, f.event, row, clip(r.EventName, lim.MaxRecordBytes, &cut))
	}
	if r.Flags != 0 {
		h.putNum(c, f.flags, row, uint64(r.Flags))
	}
	if !r.TraceID.IsZero() {
		if v := h.vec(c, f.trace, row); v != nil {
			v.data = append(v.data, r.TraceID[:]...)
		}
	}
	if !r.SpanID.IsZero() {
		if v := h.vec(c, f.span, row); v != nil {
			v.data = append(v.data, r.SpanID[:]...)
		}
	}
	body := clipValue(r.Body, lim.MaxRecordBytes, &cut)
	kind := body.Kind() & 7
	if f.body[kind] == 0 {
		f.body[kind] = h.addColumn(columnKey{true, colBody, kind}) + 1
	}
	h.put(c, f.body[kind]-1, row, body)
	h.bytes += int64(96 + len(body.Str()))
	dropped := h.appendAttrs(c, row, r, lim, &cut)
	if dropped != 0 {
		h.putNum(c, f.dropped, row, uint64(dropped))
	}
	c.minT, c.maxT = min(c.minT, r.Time), max(c.maxT, r.Time)
	h.minT = min(h.minT, r.Time)
	c.rows++
	h.rows++
	return cut
}

// nextSeq numbers a row among those of equal time in this head. Most rows are
// newer than all before and get 0, which costs nothing in a block; the others
// get a number that grows with arrival.
func (h *head) nextSeq(t int64) uint32 {
	switch {
	case t > h.maxT:
		h.maxT, h.ties = t, 0
	case t == h.maxT:
		h.ties++
		return h.ties
	default:
		return uint32(h.rows)
	}
	return 0
}

func (h *head) appendAttrs(c *chunk, row int, r *model.LogRecord, lim Limits, cut *bool) (dropped uint32) {
	dropped = r.DroppedAttrs
	for i := range r.Attrs {
		a := &r.Attrs[i]
		if i >= lim.MaxFields {
			dropped += uint32(len(r.Attrs) - i)
			*cut = true
			break
		}
		kind := a.Value.Kind() & 7
		col := -1
		if i < len(h.shape) {
			if k := &h.cols[h.shape[i]].key; k.kind == kind && k.name == a.Key {
				col = h.shape[i]
			}
		}
		if col < 0 {
			if col = h.attrColumn(c, a.Key, kind, row); col < 0 {
				continue
			}
			if i < len(h.shape) {
				h.shape[i] = col
			} else if i == len(h.shape) && i < 1024 {
				h.shape = append(h.shape, col)
			}
		}
		v := clipValue(a.Value, lim.MaxRecordBytes, cut)
		if v.Kind() != a.Value.Kind() { // a cut array is text
			if col = h.attrColumn(c, a.Key, v.Kind(), row); col < 0 {
				continue
			}
		}
		h.put(c, col, row, v)
		h.bytes += int64(12 + len(v.Str()))
	}
	return dropped
}

// attrColumn finds or makes the column of an attribute, -1 when the row has a
// value by that name already (keys are unique: the first wins).
func (h *head) attrColumn(c *chunk, name string, kind model.ValueKind, row int) int {
	kinds := h.byName[name]
	if kinds == nil {
		kinds = new([8]int32)
		h.byName[strings.Clone(name)] = kinds
	}
	for _, k := range kinds {
		if k != 0 && int(k) <= len(c.vecs) && c.vecs[k-1].index(row) >= 0 {
			return -1
		}
	}
	if kinds[kind] == 0 {
		kinds[kind] = int32(h.addColumn(columnKey{false, strings.Clone(name), kind})) + 1
	}
	return int(kinds[kind]) - 1
}

func (h *head) put(c *chunk, col, row int, v model.Value) {
	switch {
	case hasText(v.Kind()):
		h.putText(c, col, row, v.Str())
	case v.Kind() == model.KindEmpty:
		h.vec(c, col, row)
	default:
		h.putNum(c, col, row, v.Num())
	}
}

// snapshot returns the head's rows as pages. It may be read without a lock
// while the head grows.
func (h *head) snapshot(name string) ([]*chunk, *table) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cols := make([]columnKey, len(h.cols))
	for i := range h.cols {
		cols[i] = h.cols[i].key
	}
	t := &table{schema: newSchema(cols), streams: h.streams[:len(h.streams):len(h.streams)], fields: &h.fields, name: name}
	chunks := make([]*chunk, len(h.chunks))
	copy(chunks, h.chunks)
	if n := len(chunks); n > 0 {
		chunks[n-1] = h.copyChunk(chunks[n-1])
	}
	return chunks, t
}

func (h *head) copyChunk(c *chunk) *chunk {
	cp := *c
	cp.vecs = make([]*vector, len(c.vecs))
	vecs := make([]vector, len(c.vecs))
	for i, v := range c.vecs {
		if v == nil || v.n == 0 {
			continue
		}
		vecs[i] = *v
		if v.form == formDict && h.cols[i].dict != nil {
			vecs[i].dict = h.cols[i].dict.vals
		}
		cp.vecs[i] = &vecs[i]
	}
	return &cp
}

// page shows a chunk of a snapshot to the evaluation.
func (c *chunk) page(t *table) *page {
	return &page{table: t, rows: c.rows, minT: c.minT, maxT: c.maxT, vecs: c.vecs, streamLo: 0, streamHi: len(t.streams)}
}
