package logstore

import "braid/pkg/model"

// When nothing but counts is asked for, rows are counted in one array by
// combination and bucket; groups are made of it in the end.

// countFlat counts the rows by combination and bucket.
func (a *aggregator) countFlat() error {
	if err := a.growFlat(); err != nil {
		return err
	}
	counts, keys := a.counts, a.keys
	if a.n == 1 {
		for _, row := range a.sel {
			if k := keys[row]; k != other {
				counts[k]++
			} else {
				a.drops++
			}
		}
		return nil
	}
	for _, row := range a.sel {
		if k := keys[row]; k != other {
			counts[int(k)*a.n+int(a.bucket[row])]++
		} else {
			a.drops++
		}
	}
	return nil
}

// countCodes counts all rows of a page by the codes of a dictionary, and numbers
// the values once a page; false when they have none.
func (a *aggregator) countCodes(r *fieldReader, p *page) (bool, error) {
	if len(r.sources) != 1 || r.sources[0].stream != nil || r.sources[0].level {
		return false, nil
	}
	v, err := p.raw(r.sources[0].col)
	if err != nil || v == nil || v.form != formDict || v.rows != nil || v.n < p.rows || len(v.dict) > p.rows {
		return false, err
	}
	// two of each, so that equal neighbours do not wait for each other
	n := len(v.dict)
	if len(a.codes) < 2*n {
		a.codes = make([]uint32, 2*n)
	}
	even, odd := a.codes[:n], a.codes[n:2*n]
	clear(a.codes[:2*n])
	codes := v.codes[:p.rows]
	for ; len(codes) >= 2; codes = codes[2:] {
		even[codes[0]]++
		odd[codes[1]]++
	}
	if len(codes) > 0 {
		even[codes[0]]++
	}
	m, in := r.memo(0, n), a.fields[0]
	for c := range n {
		rows := even[c] + odd[c]
		if rows == 0 {
			continue
		}
		id := m[c]
		if id == 0 {
			id = in.remember(m, uint32(c), model.Raw(v.kind, 0, v.dict[c]), a.full())
		}
		if id == 0 {
			a.drops += int64(rows)
			continue
		}
		if err := a.growFlat(); err != nil {
			return false, err
		}
		a.counts[id-1] += uint64(rows)
	}
	return true, nil
}

// growFlat makes room for the counts of all combinations.
func (a *aggregator) growFlat() error {
	need := a.combinations() * a.n
	if need > maxCells {
		return errCells
	}
	if need > len(a.counts) {
		a.counts = append(a.counts, make([]uint64, need-len(a.counts)+len(a.counts)/4)...)
	}
	return nil
}

// fewKeys is up to how many combinations are counted in place before they are
// added to the counts.
const fewKeys = 32

// countStretches is countFlat of all rows of a page by stretches of rows within
// one bucket: a page's rows are sorted by stream and time.
func (a *aggregator) countStretches(p *page) error {
	times, err := p.time()
	if err != nil {
		return err
	}
	if err := a.growFlat(); err != nil {
		return err
	}
	few := a.combinations() <= fewKeys
	for from := 0; from < len(times); {
		b := (times[from] - a.start) / a.q.Step
		lo, hi := a.start+b*a.q.Step, a.start+(b+1)*a.q.Step
		end := from + 1
		for end < len(times) && times[end] >= lo && times[end] < hi {
			end++
		}
		keys := a.keys[from:end]
		from = end
		if few && len(keys) > fewKeys {
			a.countFew(keys, int(b))
			continue
		}
		for _, k := range keys {
			if k == other {
				a.drops++
				continue
			}
			a.counts[int(k)*a.n+int(b)]++
		}
	}
	return nil
}

// countFew counts rows of one bucket.
func (a *aggregator) countFew(keys []uint32, bucket int) {
	// two of each, so that equal neighbours do not wait for each other
	var n [2][fewKeys + 1]uint32
	i := 0
	for ; i+2 <= len(keys); i += 2 {
		n[0][min(keys[i], fewKeys)]++ // other is greater than any
		n[1][min(keys[i+1], fewKeys)]++
	}
	if i < len(keys) {
		n[0][min(keys[i], fewKeys)]++
	}
	for k := range a.combinations() {
		a.counts[k*a.n+bucket] += uint64(n[0][k] + n[1][k])
	}
	a.drops += int64(n[0][fewKeys] + n[1][fewKeys])
}

// absorb adds what another worker counted flat, for at most one field; false when
// it cannot.
func (a *aggregator) absorb(b *aggregator) bool {
	if !a.flat || !b.flat || len(a.fields) > 1 {
		return false
	}
	a.drops += b.drops
	to := []uint32{0} // b's numbers as a's
	if len(a.fields) == 1 {
		to = a.fields[0].numbersOf(b.fields[0])
	}
	if need := a.combinations() * a.n; need > len(a.counts) {
		a.counts = append(a.counts, make([]uint64, need-len(a.counts))...)
	}
	for k := 0; (k+1)*a.n <= len(b.counts) && k < len(to); k++ {
		from := int(to[k]) * a.n
		for i, n := range b.counts[k*a.n : (k+1)*a.n] {
			a.counts[from+i] += n
		}
	}
	return true
}

// numbersOf numbers the values of another interner.
func (in *interner) numbersOf(o *interner) []uint32 {
	to := make([]uint32, len(o.vals))
	if in.alone() && o.alone() {
		for key, theirs := range o.counters {
			mine, ok := in.counters[key]
			if !ok {
				break
			}
			if len(mine) < len(theirs) {
				mine = append(mine, make([]uint32, len(theirs)-len(mine))...)
				in.counters[key] = mine
			}
			for x, id := range theirs {
				if id == 0 {
					continue
				}
				if mine[x] == 0 {
					mine[x] = in.add(o.vals[id-1], false) + 1
				}
				to[id-1] = mine[x] - 1
			}
			return to
		}
	}
	for i, v := range o.vals {
		to[i] = in.number(v, false)
	}
	return to
}

// flatGroups makes groups of what was counted flat.
func (a *aggregator) flatGroups() {
	groups := 0
	for k := 0; (k+1)*a.n <= len(a.counts); k++ {
		if anyCount(a.counts[k*a.n:(k+1)*a.n]) > 0 {
			groups++
		}
	}
	groups = min(groups, a.max)
	all, cells := make([]aggGroup, groups), make([]model.Cell, groups*a.n)
	a.groups = make([]*aggGroup, 0, groups)
	for k := 0; (k+1)*a.n <= len(a.counts); k++ {
		counts := a.counts[k*a.n : (k+1)*a.n]
		sum := anyCount(counts)
		if sum == 0 {
			continue
		}
		if len(a.groups) == groups {
			a.drops += int64(sum)
			continue
		}
		g := &all[len(a.groups)]
		g.key = a.keyOf(uint32(k))
		g.cells, cells = cells[:a.n:a.n], cells[a.n:]
		for b, n := range counts {
			g.cells[b].Count = n
		}
		a.groups = append(a.groups, g)
	}
	a.counts = nil
}

func anyCount(counts []uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
