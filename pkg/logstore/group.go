package logstore

import (
	"math"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// interner numbers values. Number 0 is the empty value: the row lacks the field.
type interner struct {
	// ids has the first mapped of vals: the others have numbers by one table of
	// counters only, as long as nothing else is met.
	ids    map[model.Value]uint32
	vals   []model.Value
	mapped int
	// counters remember the numbers of texts by the number in them.
	counters map[counterKey][]uint32
	text     []byte // room for the texts of values
}

func newInterner() *interner {
	return &interner{ids: map[model.Value]uint32{{}: 0}, vals: []model.Value{{}}, mapped: 1}
}

// number returns a value's number, copying a new value's text; with full, no
// new numbers are given.
func (in *interner) number(v model.Value, full bool) uint32 {
	for ; in.mapped < len(in.vals); in.mapped++ {
		in.ids[in.vals[in.mapped]] = uint32(in.mapped)
	}
	if id, ok := in.ids[v]; ok {
		return id
	}
	id := in.add(v, full)
	if id != other {
		in.ids[in.vals[id]] = id
		in.mapped++
	}
	return id
}

// add numbers a value that is new.
func (in *interner) add(v model.Value, full bool) uint32 {
	if full {
		return other
	}
	if s := v.Str(); s != "" {
		if len(s) > cap(in.text)-len(in.text) {
			in.text = make([]byte, 0, max(4096, len(s)))
		}
		from := len(in.text)
		in.text = append(in.text, s...)
		v = model.Raw(v.Kind(), v.Num(), view(in.text[from:]))
	}
	id := uint32(len(in.vals))
	in.vals = append(in.vals, v)
	return id
}

// alone reports whether all values have their numbers by one table.
func (in *interner) alone() bool { return in.mapped == 1 && len(in.counters) == 1 }

// fieldReader reads the values of one field from the pages of one table. Used
// by one goroutine.
type fieldReader struct {
	t       *table
	sources []source
	body    bool
	memos   [][]uint32 // by source: number + 1 by dictionary code, stream or severity
	out     []uint32
}

func newFieldReader(f predicate.Field, t *table) *fieldReader {
	r := &fieldReader{t: t, body: f.Scope == predicate.ScopeIntrinsic && f.Name == predicate.Body}
	for _, s := range fieldSources(f, t) {
		if s.stream != nil {
			s.stream.run(t, leaf{holds: func(model.Value) bool { return true }})
			if !s.stream.some {
				continue
			}
		}
		r.sources = append(r.sources, s)
	}
	r.memos = make([][]uint32, len(r.sources))
	return r
}

// eachSource yields, source by source, the rows of need whose value is there:
// the first source that has one wins.
func (r *fieldReader) eachSource(p *page, need bitset, column func(si int, v *vector, left bitset) error, constant func(si int, left bitset) error) error {
	left := append(bitset(nil), need...)
	for si := range r.sources {
		s := &r.sources[si]
		if left.empty() {
			return nil
		}
		if s.stream != nil || s.level {
			if err := constant(si, left); err != nil {
				return err
			}
			continue
		}
		v, err := p.raw(s.col)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if err := column(si, v, left); err != nil {
			return err
		}
		if si < len(r.sources)-1 {
			has := make(bitset, len(left))
			v.present(has)
			left.andNot(has)
		}
	}
	return nil
}

// values numbers the value of every row of need, which sel lists. The result is
// valid until the next call.
func (r *fieldReader) values(p *page, need bitset, sel []uint16, in *interner, full bool) ([]uint32, error) {
	if cap(r.out) < p.rows {
		r.out = make([]uint32, p.rows)
	}
	out := r.out[:p.rows]
	clear(out)
	if len(r.sources) == 1 { // which is then the only place of the field
		if done, err := r.onlyValues(p, sel, in, full, out); done || err != nil {
			return out, err
		}
	}
	err := r.eachSource(p, need, func(si int, v *vector, left bitset) error {
		return r.columnValues(si, v, left, in, full, out)
	}, func(si int, left bitset) error {
		if r.sources[si].level {
			return r.levelValues(si, p, left, in, full, out)
		}
		return r.streamValues(si, p, left, in, full, out)
	})
	return out, err
}

// onlyValues is values for the frequent case of one source in which every row
// has a value that stands for a small number; false when it is another.
func (r *fieldReader) onlyValues(p *page, sel []uint16, in *interner, full bool, out []uint32) (bool, error) {
	s := &r.sources[0]
	switch {
	case s.stream != nil:
		return false, nil
	case s.level:
		v, err := p.vector(s.col)
		if err != nil || v == nil || v.rows != nil || v.n < p.rows {
			return false, err
		}
		m := r.memo(0, 256)
		for _, row := range sel {
			id := m[uint8(v.nums[row])]
			if id == 0 {
				id = in.remember(m, uint32(uint8(v.nums[row])), model.String(model.SeverityNumber(uint8(v.nums[row])).Level()), full)
			}
			out[row] = id - 1
		}
		return true, nil
	}
	v, err := p.raw(s.col)
	if err != nil || v == nil || v.rows != nil || v.n < p.rows {
		return false, err
	}
	switch {
	case v.form == formDict:
		m := r.memo(0, len(v.dict))
		codes := v.codes
		for _, row := range sel {
			c := codes[row]
			id := m[c]
			if id == 0 {
				id = in.remember(m, c, model.Raw(v.kind, 0, v.dict[c]), full)
			}
			out[row] = id - 1
		}
		return true, nil
	case v.counter != nil:
		c := v.counter
		var buf []byte
		return in.numbers(c.ints, counterKey{c.prefix, c.width, v.kind}, sel, full, out, func(x int64) model.Value {
			buf = c.append(buf[:0], x)
			return model.Raw(v.kind, 0, view(buf))
		}), nil
	case v.form == formNums && v.kind == model.KindInt:
		return in.numbers(asInts(v.nums), counterKey{kind: v.kind}, sel, full, out, model.Int), nil
	}
	return false, nil
}

// remember numbers a value and keeps the number + 1 in a memo. For other it
// returns 0, which less 1 is other.
func (in *interner) remember(m []uint32, at uint32, v model.Value, full bool) uint32 {
	id := in.number(v, full)
	if id == other {
		return 0
	}
	m[at] = id + 1
	return id + 1
}

// numbers numbers values that integers stand for by a table of the integers;
// false when they are negative or too big for that.
func (in *interner) numbers(ints []int64, key counterKey, sel []uint16, full bool, out []uint32, value func(int64) model.Value) bool {
	m, ok := in.table(ints, key)
	if !ok {
		return false
	}
	alone := in.alone()
	if len(sel) == len(out) { // all rows
		if in.allKnown(ints[:len(out)], m, out) {
			return true
		}
	}
	for _, row := range sel {
		x := ints[row]
		id := m[x]
		switch {
		case id != 0:
		case alone:
			id = in.add(value(x), full) + 1
			m[x] = id
		default:
			id = in.remember(m, uint32(x), value(x), full)
		}
		out[row] = id - 1
	}
	return true
}

// allKnown reads the numbers of values that were all met before; false at the
// first that was not.
func (in *interner) allKnown(ints []int64, m, out []uint32) bool {
	out = out[:len(ints)]
	for i, x := range ints {
		id := m[x]
		if id == 0 {
			return false
		}
		out[i] = id - 1
	}
	return true
}

// table returns the memo of the numbers met, big enough for these.
func (in *interner) table(ints []int64, key counterKey) ([]uint32, bool) {
	most := int64(0) // at least the greatest, negative if one is
	for _, x := range ints {
		most |= x
	}
	if most < 0 || most >= maxCounterMemo {
		return nil, false
	}
	m := in.counters[key]
	if int(most) >= len(m) {
		m = append(m, make([]uint32, int(most)+1-len(m)+len(m)/2)...)
		if in.counters == nil {
			in.counters = map[counterKey][]uint32{}
		}
		key.prefix = strings.Clone(key.prefix) // it may lie in a page's memory
		in.counters[key] = m
	}
	return m, true
}

func (r *fieldReader) memo(si, size int) []uint32 {
	if len(r.memos[si]) < size {
		r.memos[si] = append(r.memos[si], make([]uint32, size-len(r.memos[si]))...)
	}
	return r.memos[si]
}

func (r *fieldReader) columnValues(si int, v *vector, left bitset, in *interner, full bool, out []uint32) error {
	if v.form == formDict {
		m := r.memo(si, len(v.dict))
		eachValue(v, left, func(i, row int) {
			c := v.codes[i]
			if m[c] == 0 {
				id := in.number(model.Raw(v.kind, 0, v.dict[c]), full)
				if id == other {
					out[row] = other
					return
				}
				m[c] = id + 1
			}
			out[row] = m[c] - 1
		})
		return nil
	}
	if c := v.counter; c != nil {
		var buf []byte
		if r.intValues(v, c.ints, counterKey{c.prefix, c.width, v.kind}, left, in, full, out, func(x int64) model.Value {
			buf = c.append(buf[:0], x)
			return model.Raw(v.kind, 0, view(buf))
		}) {
			return nil
		}
	}
	if v.form == formNums && v.kind == model.KindInt && r.intValues(v, asInts(v.nums), counterKey{kind: v.kind}, left, in, full, out, model.Int) {
		return nil
	}
	if err := v.expand(); err != nil {
		return err
	}
	var last model.Value
	lastID := uint32(0)
	eachValue(v, left, func(i, row int) {
		x := v.value(i)
		if x != last {
			last, lastID = x, in.number(x, full)
		}
		out[row] = lastID
	})
	return nil
}

// maxCounterMemo bounds the table of numbers met: 16 MiB.
const maxCounterMemo = 1 << 22

// counterKey names the texts that a number stands for.
type counterKey struct {
	prefix string
	width  int
	kind   model.ValueKind
}

// intValues numbers values that integers stand for by a table of the integers;
// false when they are negative or too big for that.
func (r *fieldReader) intValues(v *vector, ints []int64, key counterKey, left bitset, in *interner, full bool, out []uint32, value func(int64) model.Value) bool {
	m, ok := in.table(ints[:v.n], key)
	if !ok {
		return false
	}
	eachValue(v, left, func(i, row int) {
		x := ints[i]
		if m[x] == 0 {
			id := in.number(value(x), full)
			if id == other {
				out[row] = other
				return
			}
			m[x] = id + 1
		}
		out[row] = m[x] - 1
	})
	return true
}

func (r *fieldReader) levelValues(si int, p *page, left bitset, in *interner, full bool, out []uint32) error {
	v, err := p.vector(r.sources[si].col)
	if err != nil {
		return err
	}
	m := r.memo(si, 256)
	number := func(sev uint8) uint32 {
		if m[sev] == 0 {
			id := in.number(model.String(model.SeverityNumber(sev).Level()), full)
			if id == other {
				return other
			}
			m[sev] = id + 1
		}
		return m[sev] - 1
	}
	if v == nil || v.n < p.rows {
		left.each(func(row int) { out[row] = number(0) })
	}
	if v != nil {
		eachValue(v, left, func(i, row int) { out[row] = number(uint8(v.nums[i])) })
	}
	return nil
}

func (r *fieldReader) streamValues(si int, p *page, left bitset, in *interner, full bool, out []uint32) error {
	ords, err := p.streamOf()
	if err != nil {
		return err
	}
	st := r.sources[si].stream
	m := r.memo(si, len(r.t.streams))
	more := si < len(r.sources)-1
	left.each(func(row int) {
		ord := uint64(p.streamLo)
		if ords != nil {
			ord = ords[row]
		}
		if ord >= uint64(len(m)) {
			err = errShort
			return
		}
		if !st.has[ord] {
			return
		}
		if more {
			left.unset(row)
		}
		if m[ord] == 0 {
			id := in.number(st.value(ord), full)
			if id == other {
				out[row] = other
				return
			}
			m[ord] = id + 1
		}
		out[row] = m[ord] - 1
	})
	return err
}

// measured is the number that a row gives, if it gives one.
type measured struct {
	v  float64
	ok bool
}

// numbers reads the measured field of the rows of need, reusing out.
func (r *fieldReader) numbers(out []measured, p *page, need bitset, q *predicate.Aggregation) ([]measured, error) {
	if cap(out) < p.rows {
		out = make([]measured, p.rows)
	}
	out = out[:p.rows]
	clear(out)
	number := func(v model.Value) measured {
		if r.body {
			return measured{float64(len(v.Text())), true}
		}
		f, ok := v.Float()
		if !ok && q.OfText {
			f, ok = v.ParseFloat()
		}
		return measured{f, ok}
	}
	err := r.eachSource(p, need, func(_ int, v *vector, left bitset) error {
		if err := v.expand(); err != nil {
			return err
		}
		switch {
		case v.form == formNums && v.kind == model.KindInt && !r.body:
			eachValue(v, left, func(i, row int) { out[row] = measured{float64(int64(v.nums[i])), true} })
		case v.form == formNums && v.kind == model.KindDouble && !r.body:
			eachValue(v, left, func(i, row int) { out[row] = measured{math.Float64frombits(v.nums[i]), true} })
		case v.form == formText && v.kind == model.KindString && r.body:
			eachValue(v, left, func(i, row int) { out[row] = measured{float64(v.offs[i+1] - v.offs[i]), true} })
		default:
			eachValue(v, left, func(i, row int) { out[row] = number(v.value(i)) })
		}
		return nil
	}, func(si int, left bitset) error {
		s := &r.sources[si]
		if s.level {
			return nil // words are no numbers
		}
		ords, err := p.streamOf()
		if err != nil {
			return err
		}
		left.each(func(row int) {
			ord := uint64(p.streamLo)
			if ords != nil {
				ord = ords[row]
			}
			if ord >= uint64(len(s.stream.has)) {
				err = errShort
				return
			}
			if s.stream.has[ord] {
				out[row] = number(s.stream.value(ord))
				left.unset(row)
			}
		})
		return err
	})
	return out, err
}

// denseSketch counts numbers in the buckets of model.Sketch, as an array while
// they are positive and close together.
type denseSketch struct {
	base   int32
	counts []uint64
	total  uint64
	rest   model.Sketch
}

// maxDense bounds the buckets kept as an array: a factor of 10^17 between the
// least and the greatest number.
const maxDense = 2048

func (d *denseSketch) add(v float64) {
	i, ok := model.SketchBucket(v)
	if !ok {
		d.rest.Add(v, 1)
		return
	}
	if len(d.counts) == 0 {
		d.base = i - 16
		d.counts = make([]uint64, 64)
	}
	at := int(i) - int(d.base)
	if at < 0 || at >= len(d.counts) {
		lo, hi := min(int(i), int(d.base)), max(int(i)+1, int(d.base)+len(d.counts))
		if hi-lo > maxDense {
			d.rest.Add(v, 1)
			return
		}
		grown := make([]uint64, hi-lo)
		copy(grown[int(d.base)-lo:], d.counts)
		d.base, d.counts = int32(lo), grown
		at = int(i) - lo
	}
	d.counts[at]++
	d.total++
}

// sketch returns what was counted in the form that travels.
func (d *denseSketch) sketch() *model.Sketch {
	s := &d.rest
	if d.total > 0 && s.Positive == nil {
		s.Positive = map[int32]uint64{}
	}
	for i, n := range d.counts {
		if n > 0 {
			s.Positive[d.base+int32(i)] += n
		}
	}
	s.Total += d.total
	return s
}
