package tracestore

import (
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// shortcut adds up a block that lies in the range as a whole without looking at
// its rows, when the question allows it; false when it does not.
func (a *aggregator) shortcut(j *blockJob) bool {
	if a.out.Step != 0 || a.q.Measure != predicate.CountOnly || a.q.Exemplars > 0 || a.each ||
		!a.q.Range.All() && (j.b.MinTime < a.q.Range.Start || j.b.MaxTime >= a.q.Range.End) {
		return false
	}
	return a.byClasses(j) || a.byStatistics(j)
}

// byClasses counts by what classes say alone: operations of a service, spans by
// status.
func (a *aggregator) byClasses(j *blockJob) bool {
	for c, verdict := range j.c.b.verdict {
		if verdict == maybe {
			return false
		}
		for i := range j.c.by {
			if verdict == yes && j.c.by[i].places[c].src != 0 {
				return false
			}
		}
	}
	counts := j.side.classRows
	if j.skip != nil {
		counts = append([]uint32(nil), counts...)
		for n, skip := range j.skip {
			if skip {
				counts[j.side.class[n]]--
			}
		}
	}
	for c, n := range counts {
		if n == 0 || j.c.b.verdict[c] == no {
			continue
		}
		a.keys = a.keys[:0]
		for i := range j.c.by {
			a.keys = append(a.keys, j.c.by[i].places[c].value)
		}
		a.addMany(uint64(n))
	}
	return true
}

// byStatistics counts the values of one attribute of all spans of the block out
// of its statistics.
func (a *aggregator) byStatistics(j *blockJob) bool {
	for _, verdict := range j.c.b.verdict {
		if verdict != yes {
			return false
		}
	}
	p := pruner{b: j.b, side: j.side, spec: a.prog.spec}
	if j.skip != nil || len(a.q.By) != 1 || !p.own(a.q.By[0]) || !p.allListed(a.q.By[0].Name) {
		return false
	}
	left := uint64(j.side.rows)
	for i := range j.side.stats {
		f := &j.side.stats[i]
		if f.key.name != a.q.By[0].Name {
			continue
		}
		for _, v := range f.values {
			a.keys = append(a.keys[:0], v.value)
			a.addMany(uint64(v.rows))
			left -= uint64(v.rows)
		}
	}
	if left > 0 {
		a.keys = append(a.keys[:0], model.Value{})
		a.addMany(left)
	}
	return true
}

func (a *aggregator) addMany(n uint64) {
	g := a.group()
	if g < 0 {
		a.out.Dropped += int64(n)
		return
	}
	a.out.Groups[g].Cells[0].Count += n
}

// dictGroups remembers the group of each entry of a dictionary, for questions
// grouped by one attribute.
type dictGroups struct {
	dict   *dictionary
	groups []int32 // +1
}

// groupByCode finds the group of a row by the dictionary number of the only
// group-by attribute; false when it has none.
func (c *groupCounter) groupByCode(cur cursor, n, class uint32) (int, bool) {
	p, ok := cur.(*pageCursor)
	if !ok || len(c.by) != 1 || c.by[0].places[class].src != fromAttr {
		return 0, false
	}
	at := p.side.colOf[c.t.classes[class].shape][c.by[0].places[class].attr]
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
		c.a.keys = append(c.a.keys[:0], c.by[0].value(cur, n, class, c.t))
		g := c.a.group()
		if g < 0 {
			return g, true
		}
		d.groups[code] = int32(g) + 1
	}
	return int(d.groups[code]) - 1, true
}
