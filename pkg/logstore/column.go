package logstore

import (
	"encoding/hex"
	"sort"
	"unsafe"

	"braid/pkg/model"
)

// form is how a vector holds its values.
type form uint8

const (
	formNone  form = iota // KindEmpty: there is nothing but presence
	formDict              // codes into a dictionary of strings
	formNums              // the bits that model.Value.Num gives
	formText              // offsets into one run of bytes
	formFixed             // ids of one size, shown as hex
)

// vector is the values of one column in one page. The values of a block's page
// are immutable; a head's only grow, so that a copy of the struct is a snapshot.
type vector struct {
	form  form
	kind  model.ValueKind
	size  int      // of one id: formFixed
	rows  []uint16 // ascending; nil: value i belongs to row i
	codes []uint32
	dict  []string // shared; only grows
	nums  []uint64
	offs  []uint32 // one more than values
	data  []byte
	n     int
	// counter holds the texts of a block's page until expand makes them.
	counter *counter
	tmpl    *templates // likewise
	packed  *packed    // likewise
}

// index finds the value of a row, -1 when the row has none.
func (v *vector) index(row int) int {
	if v == nil {
		return -1
	}
	if v.rows == nil {
		if row < v.n {
			return row
		}
		return -1
	}
	i := sort.Search(len(v.rows), func(i int) bool { return int(v.rows[i]) >= row })
	if i < len(v.rows) && int(v.rows[i]) == row {
		return i
	}
	return -1
}

// row is the inverse of index.
func (v *vector) row(i int) int {
	if v.rows == nil {
		return i
	}
	return int(v.rows[i])
}

// str returns the text of value i of a formDict or formText vector; it aliases
// the vector.
func (v *vector) str(i int) string {
	if v.form == formDict {
		return v.dict[v.codes[i]]
	}
	return view(v.data[v.offs[i]:v.offs[i+1]])
}

// view shows bytes that will not change as a string.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// value returns value i; a string in it aliases the vector.
func (v *vector) value(i int) model.Value {
	switch v.form {
	case formNums:
		return model.Raw(v.kind, v.nums[i], "")
	case formDict, formText:
		return model.Raw(v.kind, 0, v.str(i))
	case formFixed:
		return model.String(hex.EncodeToString(v.fixed(i)))
	}
	return model.Value{}
}

func (v *vector) fixed(i int) []byte { return v.data[i*v.size : (i+1)*v.size] }

// present sets the bits of the rows that have a value.
func (v *vector) present(into bitset) {
	if v.rows == nil {
		into.fillTo(v.n)
		return
	}
	for _, r := range v.rows {
		into.set(int(r))
	}
}

// fillTo sets the first n bits and leaves the others.
func (b bitset) fillTo(n int) {
	for i := 0; i < n>>6; i++ {
		b[i] = ^uint64(0)
	}
	if n&63 != 0 {
		b[n>>6] |= 1<<(n&63) - 1
	}
}

// columnKey names a column: what a row has by that name and of that kind. A
// name whose values are of several kinds has a column for each.
type columnKey struct {
	intrinsic bool
	name      string
	kind      model.ValueKind
}

// The columns that are not attributes. Those whose zero value means "absent"
// hold only other values.
const (
	colTime     = "time"
	colObserved = "observed" // less time
	colSeqHi    = "seq.head"
	colSeqLo    = "seq.row"
	colStream   = "stream"
	colSeverity = "severity"
	colSevText  = "severity_text"
	colEvent    = "event_name"
	colFlags    = "flags"
	colDropped  = "dropped"
	colTrace    = "traceID"
	colSpan     = "spanID"
	colBody     = "body"
)

// schema is the columns of a block or head.
type schema struct {
	cols   []columnKey
	byName map[string][]int // attributes
	intr   map[string][]int // the others
	attrs  []int            // attribute columns sorted by name
}

func newSchema(cols []columnKey) *schema {
	s := &schema{cols: cols, byName: make(map[string][]int, len(cols)), intr: make(map[string][]int, 16)}
	for i, c := range cols {
		if c.intrinsic {
			s.intr[c.name] = append(s.intr[c.name], i)
			continue
		}
		s.byName[c.name] = append(s.byName[c.name], i)
		s.attrs = append(s.attrs, i)
	}
	sort.Slice(s.attrs, func(a, b int) bool {
		x, y := cols[s.attrs[a]], cols[s.attrs[b]]
		if x.name != y.name {
			return x.name < y.name
		}
		return x.kind < y.kind
	})
	return s
}

// intrinsicCol returns the one column of an intrinsic name, -1 when no row of
// the table has it.
func (s *schema) intrinsicCol(name string) int {
	if c := s.intr[name]; len(c) > 0 {
		return c[0]
	}
	return -1
}

// stream is what sent a row: immutable and shared by all its rows.
type stream struct {
	resource *model.Resource
	scope    *model.Scope
}

// table is what the pages of a block, or the chunks of a head, have in common.
type table struct {
	schema  *schema
	streams []stream
	fields  *knownFields // of the streams
	name    string       // for messages
}

// page is a run of rows to evaluate: a page of a block or a chunk of a head.
// A page is used by one goroutine.
type page struct {
	*table
	no         int // in its block
	rows       int
	minT, maxT int64
	vecs       []*vector // by column; nil: not loaded, or no row has it
	loaded     bitset    // by column
	load       func(p *page, col int) (*vector, error)
	mem        *arena  // for what is decoded; nil: the page outlives its reader
	whole      []byte  // the page's chunks, when they were read at once
	near       stretch // some chunks that were read together
	only       bitset  // rows whose texts are asked for; nil: all
	// what the sortedness of a block gives away without decoding
	streamLo, streamHi int
	times              []int64
}

// vector returns a column, nil when no row of the page has a value in it.
func (p *page) vector(col int) (*vector, error) {
	v, err := p.raw(col)
	if v != nil && v.lazy() {
		err = v.expand()
	}
	return v, err
}

// raw is vector, but the texts of a counter may not be there yet.
func (p *page) raw(col int) (*vector, error) {
	if col < 0 {
		return nil, nil
	}
	if p.load == nil || p.loaded.has(col) {
		if col >= len(p.vecs) {
			return nil, nil
		}
		return p.vecs[col], nil
	}
	v, err := p.load(p, col)
	if err != nil {
		return nil, err
	}
	p.vecs[col] = v
	p.loaded.set(col)
	return v, nil
}

// intrinsic returns the vector of the one column of an intrinsic name.
func (p *page) intrinsic(name string) (*vector, error) {
	return p.vector(p.schema.intrinsicCol(name))
}

// time returns the times of all rows.
func (p *page) time() ([]int64, error) {
	if p.times != nil {
		return p.times, nil
	}
	v, err := p.intrinsic(colTime)
	if err != nil {
		return nil, err
	}
	if v == nil || v.n < p.rows {
		return nil, errShort
	}
	p.times = asInts(v.nums)[:p.rows]
	return p.times, nil
}

// asInts shows numbers as signed ones: the bits are the same.
func asInts(u []uint64) []int64 {
	return unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(u))), len(u))
}

func asUints(s []int64) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// streamOf returns the stream ordinal of every row, nil when all rows are of
// p.streamLo.
func (p *page) streamOf() ([]uint64, error) {
	if p.streamLo == p.streamHi {
		return nil, nil
	}
	v, err := p.intrinsic(colStream)
	if err != nil {
		return nil, err
	}
	if v == nil || v.n < p.rows {
		return nil, errShort
	}
	return v.nums[:p.rows], nil
}
