package tracestore

import (
	"math"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// batch is rows of one part that follow each other, at most pageRows, on their
// way into cells: first it is found in which cell each counts, then all are
// counted, then all are measured. It is memory that goes from batch to batch.
type batch struct {
	cells   [pageRows]int32 // by row: its cell, or less than 0
	classes [pageRows]uint32
	wanted  []int32 // the rows that may be exemplars
}

// headRows adds up the rows [lo, hi) of a head.
func (c *groupCounter) headRows(cur *headCursor, lo, hi int, shared map[uint32]bool) {
	a := c.a
	cells, classes := a.rows.cells[:hi-lo], a.rows.classes[:hi-lo]
	var at timeSlot
	for i := range cells {
		r := &cur.s.rows[lo+i]
		classes[i] = r.class
		if r.start < at.from || r.start >= at.until {
			at = a.slot(r.start)
		}
		cells[i] = -1
		if at.bucket < 0 || len(shared) > 0 && shared[r.trace] {
			continue
		}
		if first := c.cell(cur, uint32(lo+i), r.class); first >= 0 {
			cells[i] = first + at.bucket
		}
	}
	c.count(cur, uint32(lo), &numbers{large: classes}, cells)
}

// page adds up a page, without some rows.
func (c *groupCounter) page(v *view, cur *pageCursor, page int, skip rowRanges) {
	a, side := c.a, cur.side
	z := &side.zones[page]
	if !a.q.Range.Overlaps(z.minStart, z.maxStart) {
		return
	}
	cur.turn(page)
	lo, hi := uint32(page*pageRows), uint32(min(side.rows, (page+1)*pageRows))
	v.stats.AddRows(int64(hi - lo))
	cells := a.rows.cells[:hi-lo]
	at := a.slot(z.minStart)
	switch {
	case at.bucket >= 0 && z.maxStart < at.until:
		for i := range cells {
			cells[i] = at.bucket
		}
	case a.wholeSeconds():
		a.bySecond(cells, side.base, side.second.slice(a.rows.classes[:], lo, hi))
	default:
		a.byStart(cells, cur.fixed(colStart))
	}
	for _, r := range skip.within(lo, hi) {
		for n := max(r.from, lo); n < min(r.to, hi); n++ {
			cells[n-lo] = -1
		}
	}
	classes := side.class.part(lo, hi)
	if classes.large != nil {
		findCells(c, cur, lo, classes.large, cells)
	} else {
		findCells(c, cur, lo, classes.small, cells)
	}
	c.count(cur, lo, &classes, cells)
}

// findCells turns the buckets of a page's rows, the first of which is row lo,
// into their cells.
func findCells[T uint16 | uint32](c *groupCounter, cur *pageCursor, lo uint32, classes []T, cells []int32) {
	first := c.first
	for i, class := range classes {
		bucket := cells[i]
		if bucket < 0 {
			continue
		}
		f := first[class]
		if f == classNew || f == classRows {
			f = c.cell(cur, lo+uint32(i), uint32(class))
		}
		if cells[i] = f + bucket; f < 0 {
			cells[i] = -1
		}
	}
}

// timeSlot is the times [from, until), that are all of one bucket; of none when
// that is less than 0.
type timeSlot struct {
	bucket      int32
	from, until int64
}

// slot returns the slot that a time lies in. Rows come nearly sorted, so that
// the slot of one mostly is that of the next.
func (a *accumulator) slot(t int64) timeSlot {
	r := a.q.Range
	switch {
	case r.All():
		return timeSlot{0, math.MinInt64, math.MaxInt64}
	case t < r.Start:
		return timeSlot{-1, math.MinInt64, r.Start}
	case t >= r.End:
		return timeSlot{-1, r.End, math.MaxInt64}
	case a.step == 0:
		return timeSlot{0, r.Start, r.End}
	}
	bucket := (t - a.start) / a.step
	from := a.start + bucket*a.step
	return timeSlot{int32(bucket), from, min(from+a.step, r.End)}
}

// wholeSeconds reports whether the second that a span starts in tells its bucket.
func (a *accumulator) wholeSeconds() bool {
	r := a.q.Range
	return r.Start%1e9 == 0 && r.End%1e9 == 0 && a.step%1e9 == 0
}

// bySecond finds the buckets of rows by their seconds.
func (a *accumulator) bySecond(buckets []int32, base int64, seconds []uint32) {
	var at timeSlot
	for i, s := range seconds {
		t := (base + int64(s)) * 1e9
		if t < at.from || t >= at.until {
			at = a.slot(t)
		}
		buckets[i] = at.bucket
	}
}

// byStart finds the buckets of rows by their exact times.
func (a *accumulator) byStart(buckets []int32, start *column) {
	var at timeSlot
	for i := range buckets {
		t := start.int(i)
		if t < at.from || t >= at.until {
			at = a.slot(t)
		}
		buckets[i] = at.bucket
	}
}

// cell returns the first cell of the group that a row counts in; less than 0
// when it does not count, or has counted by itself.
func (c *groupCounter) cell(cur cursor, n, class uint32) int32 {
	if f := c.first[class]; f >= 0 || f == classOut {
		return f
	}
	verdict := c.b.verdict[class]
	switch {
	case verdict == no:
		c.first[class] = classOut
		return classOut
	case verdict == maybe && !c.b.test(cur, n, class):
		c.first[class] = classRows
		return classOut
	case c.a.each:
		c.first[class] = classRows
		c.by[0].eachValue(cur, n, class, c.t, func(v model.Value) { c.a.countValue(v, cur.start(n)) })
		return classOut
	}
	g, constant := c.group(cur, n, class)
	c.first[class] = classRows
	if g < 0 {
		c.a.dropped++
		return classOut
	}
	first := int32(g * c.a.buckets)
	if constant && verdict == yes {
		c.first[class] = first
	}
	return first
}

// group returns the group of a row, and whether all rows of the class have it.
func (c *groupCounter) group(cur cursor, n, class uint32) (g int, constant bool) {
	if g, ok := c.groupByNumber(cur, n, class); ok {
		return g, false
	}
	constant = true
	c.a.keys = c.a.keys[:0]
	for i := range c.by {
		c.a.keys = append(c.a.keys, c.by[i].value(cur, n, class, c.t))
		constant = constant && c.by[i].of(class).src == 0
	}
	return c.a.group(), constant
}

// count counts rows, the first of which is row lo, in their cells.
func (c *groupCounter) count(cur cursor, lo uint32, classes *numbers, cells []int32) {
	a := c.a
	counts, few, some := a.counts, uint64(a.allowed), false
	a.rows.wanted = a.rows.wanted[:0]
	for i, cell := range cells {
		if cell < 0 {
			continue
		}
		n := counts[cell]
		counts[cell], some = n+1, true
		if n < few {
			a.rows.wanted = append(a.rows.wanted, int32(i))
		}
	}
	if some && a.q.Measure != predicate.CountOnly {
		c.measure(cur, lo, classes, cells)
	}
	for _, i := range a.rows.wanted {
		g, bucket := int(cells[i])/a.buckets, int(cells[i])%a.buckets
		if !a.wants(g, bucket) {
			continue
		}
		n, value := lo+uint32(i), 0.0
		if a.q.Measure != predicate.CountOnly {
			value, _ = c.number(cur, n, classes.at(uint32(i)))
		}
		a.exemplar(g, cur.start(n), value, cur.traceID(n), cur.spanID(n))
	}
}

// measure adds the numbers of rows to their cells.
func (c *groupCounter) measure(cur cursor, lo uint32, classes *numbers, cells []int32) {
	if p, ok := cur.(*pageCursor); ok && c.a.q.Of == predicate.Intrinsic(predicate.Duration) {
		c.a.durations(p.fixed(colDuration), cells)
		return
	}
	for i, cell := range cells {
		if cell < 0 {
			continue
		}
		if v, ok := c.number(cur, lo+uint32(i), classes.at(uint32(i))); ok {
			c.a.measure(int(cell), v)
		}
	}
}

func (c *groupCounter) number(cur cursor, n, class uint32) (float64, bool) {
	if c.of.of(class).src == fromDuration {
		return float64(cur.duration(n)), true
	}
	return c.a.asNumber(c.of.value(cur, n, class, c.t))
}

// durations is measure for the durations of a page.
func (a *accumulator) durations(col *column, cells []int32) {
	for i, cell := range cells {
		if cell >= 0 {
			a.numbers[cell].add(float64(max(0, col.int(i))))
		}
	}
	if a.sketches == nil {
		return
	}
	table := model.SketchTable()
	for i, cell := range cells {
		if cell < 0 {
			continue
		}
		v := float64(max(0, col.int(i)))
		if b, ok := table.Bucket(v); ok {
			a.sketches[cell].count(b)
		} else {
			a.sketches[cell].odd(v)
		}
	}
}
