package tracestore

import (
	"slices"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// shortcut adds up a block that lies in the range as a whole without looking at
// its rows, when the question allows it; false when it does not.
func (a *aggregator) shortcut(j *blockJob) bool {
	if !a.countsOnly(j.b.MinTime, j.b.MaxTime) {
		return false
	}
	return a.byClasses(j) || a.byStatistics(j)
}

// countsOnly reports whether the question only counts spans, all of those whose
// times lie in [lo, hi].
func (a *aggregator) countsOnly(lo, hi int64) bool {
	return a.step == 0 && a.q.Measure == predicate.CountOnly && a.q.Exemplars == 0 && !a.each &&
		(a.q.Range.All() || lo >= a.q.Range.Start && hi < a.q.Range.End)
}

// headShortcut is shortcut for a head.
func (a *aggregator) headShortcut(c *groupCounter, h *rows, shared map[uint32]bool) bool {
	if !a.countsOnly(h.lo, h.hi) || !c.byClassesOnly() {
		return false
	}
	counts := h.classRows
	if len(shared) > 0 {
		counts = slices.Clone(counts)
		for t := range shared {
			for n := h.trs[t].last; n != 0; n = h.rows[n-1].prev {
				counts[h.rows[n-1].class]--
			}
		}
	}
	a.addClasses(c, counts)
	return true
}

// byClasses counts by what classes say alone: operations of a service, spans by
// status.
func (a *aggregator) byClasses(j *blockJob) bool {
	if !j.c.byClassesOnly() {
		return false
	}
	counts := j.side.classRows
	if len(j.skip) > 0 {
		counts = slices.Clone(counts)
		for _, r := range j.skip {
			for n := r.from; n < r.to; n++ {
				counts[j.side.class.at(n)]--
			}
		}
	}
	a.addClasses(j.c, counts)
	return true
}

// byClassesOnly reports whether the class of a span tells whether it counts and
// in which group.
func (c *groupCounter) byClassesOnly() bool {
	for n, verdict := range c.b.verdict {
		if verdict == maybe {
			return false
		}
		for i := range c.by {
			if verdict == yes && c.by[i].of(uint32(n)).src != 0 {
				return false
			}
		}
	}
	return true
}

// addClasses counts the rows of classes. Many classes are of one group: what the
// group follows from is added up first.
func (a *aggregator) addClasses(c *groupCounter, counts []uint32) {
	groups := 1
	for i := range c.by {
		groups *= max(1, len(c.by[i].places))
		if groups > 8*len(counts) {
			a.addEachClass(c, counts)
			return
		}
	}
	sums := make([]uint64, groups)
	for n, rows := range counts {
		if rows == 0 || c.b.verdict[n] == no {
			continue
		}
		g := 0
		for i := range c.by {
			g = g*len(c.by[i].places) + int(c.by[i].at[n])
		}
		sums[g] += uint64(rows)
	}
	for g, rows := range sums {
		if rows == 0 {
			continue
		}
		a.keys = append(a.keys[:0], make([]model.Value, len(c.by))...)
		for i := len(c.by) - 1; i >= 0; i-- {
			places := c.by[i].places
			a.keys[i] = places[g%len(places)].value
			g /= len(places)
		}
		a.addMany(rows)
	}
}

func (a *aggregator) addEachClass(c *groupCounter, counts []uint32) {
	for n, rows := range counts {
		if rows == 0 || c.b.verdict[n] == no {
			continue
		}
		a.keys = a.keys[:0]
		for i := range c.by {
			a.keys = append(a.keys, c.by[i].of(uint32(n)).value)
		}
		a.addMany(uint64(rows))
	}
}

// byStatistics counts the values of one attribute of all spans of the block out
// of its statistics, and takes off what is to be left out.
func (a *aggregator) byStatistics(j *blockJob) bool {
	for _, verdict := range j.c.b.verdict {
		if verdict != yes {
			return false
		}
	}
	p := pruner{b: j.b, side: j.side, spec: a.prog.spec}
	if len(a.q.By) != 1 || !p.own(a.q.By[0]) || !p.allListed(a.q.By[0].Name) {
		return false
	}
	off, ok := a.valuesOf(j, j.skip)
	if !ok {
		return false
	}
	left := uint64(j.side.rows)
	for i := range j.side.stats {
		f := &j.side.stats[i]
		if f.key.name != a.q.By[0].Name {
			continue
		}
		for _, v := range f.values {
			left -= uint64(v.rows)
			if n := uint64(v.rows) - off[v.value]; n > 0 {
				a.keys = append(a.keys[:0], v.value)
				a.addMany(n)
			}
		}
	}
	if left -= off[model.Value{}]; left > 0 {
		a.keys = append(a.keys[:0], model.Value{})
		a.addMany(left)
	}
	return true
}

// valuesOf counts the values that some rows have of the field of the question;
// it is not ok when that is not worth it, or a page could not be read.
func (a *aggregator) valuesOf(j *blockJob, rows rowRanges) (counts map[model.Value]uint64, ok bool) {
	n := 0
	for _, r := range rows {
		n += int(r.to - r.from)
	}
	if n > j.side.rows/8 {
		return nil, false
	}
	counts = map[model.Value]uint64{}
	cur := newPageCursor(j.b, j.side, 0, a.q.Stats)
	for _, r := range rows {
		for n := r.from; n < r.to; n++ {
			cur.turn(int(n / pageRows))
			counts[j.c.by[0].value(cur, n, j.side.class.at(n), &j.side.tables)]++
		}
	}
	return counts, cur.fault == nil
}

// dictGroups remembers the group of each entry of a dictionary, for questions
// grouped by one attribute.
type dictGroups struct {
	dict   *dictionary
	groups []int32 // +1
}

// textGroup remembers the group of one text of a head.
type textGroup struct {
	text  uint32 // +1
	group int32
}

// maxTextGroups is how many texts of a head are remembered: those that come
// often are few.
const maxTextGroups = 1 << 10

// groupByNumber finds the group of a row by the number that the value of the
// only group-by attribute has in a dictionary or in a head; false when it has
// none.
func (c *groupCounter) groupByNumber(cur cursor, n, class uint32) (int, bool) {
	if len(c.by) != 1 || c.by[0].of(class).src != fromAttr {
		return 0, false
	}
	if h, ok := cur.(*headCursor); ok {
		return c.groupByText(h, n, class)
	}
	return c.groupByCode(cur.(*pageCursor), n, class)
}

func (c *groupCounter) groupByText(h *headCursor, n, class uint32) (int, bool) {
	i := c.by[0].of(class).attr
	if h.s.shapes[h.s.classes[class].shape][i].kind != model.KindString {
		return 0, false
	}
	if c.byText == nil {
		c.byText = make([]textGroup, maxTextGroups)
	}
	text := uint32(h.s.cells[h.s.rows[n].attrs+uint32(i)])
	x := &c.byText[text%maxTextGroups]
	if x.text != text+1 {
		c.a.keys = append(c.a.keys[:0], c.by[0].value(h, n, class, c.t))
		g := c.a.group()
		if g < 0 {
			return g, true
		}
		x.text, x.group = text+1, int32(g)
	}
	return int(x.group), true
}

func (c *groupCounter) groupByCode(p *pageCursor, n, class uint32) (int, bool) {
	at := p.side.colOf[c.t.classes[class].shape][c.by[0].of(class).attr]
	if at == noColumn {
		return 0, false
	}
	col := p.col(at)
	if col.codes == nil || col.codes[n-p.base] < 0 {
		return 0, false
	}
	if c.byCode == nil {
		c.byCode = make([]dictGroups, len(p.side.cols))
	}
	d := &c.byCode[at]
	if d.dict != col.dict {
		d.dict, d.groups = col.dict, make([]int32, col.dict.len())
	}
	code := col.codes[n-p.base]
	if d.groups[code] == 0 {
		c.a.keys = append(c.a.keys[:0], c.by[0].value(p, n, class, c.t))
		g := c.a.group()
		if g < 0 {
			return g, true
		}
		d.groups[code] = int32(g) + 1
	}
	return int(d.groups[code]) - 1, true
}
