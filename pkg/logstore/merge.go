package logstore

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"braid/pkg/block"
	"braid/pkg/model"
)

// maxMergedDict bounds a dictionary that merges of dictionaries give.
const maxMergedDict = 4 * maxDict

// compact merges small blocks of a tenant and carries deletions out.
func (s *Store) compact(ctx context.Context, t *tenantState) {
	for _, inputs := range s.planMerges(t) {
		if ctx.Err() == nil {
			s.mergeAndReplace(ctx, t, inputs)
		}
		t.mu.Lock()
		for _, r := range inputs {
			r.busy = false
		}
		t.mu.Unlock()
		for _, r := range inputs {
			r.release()
		}
	}
}

// planMerges chooses blocks and marks them busy, with a reference each: the
// merges that the compaction plan asks for, and each other block that deletions
// still hide rows in.
func (s *Store) planMerges(t *tenantState) [][]*blockReader {
	t.mu.Lock()
	defer t.mu.Unlock()
	byBlock := map[*block.Block]*blockReader{}
	var idle []*block.Block
	for _, r := range t.blocks {
		if !r.busy {
			byBlock[r.block] = r
			idle = append(idle, r.block)
		}
	}
	var out [][]*blockReader
	take := func(blocks ...*block.Block) {
		var group []*blockReader
		for _, b := range blocks {
			r := byBlock[b]
			if r == nil || !r.acquire() {
				continue
			}
			r.busy = true
			delete(byBlock, b)
			group = append(group, r)
		}
		if len(group) > 0 {
			out = append(out, group)
		}
	}
	for _, group := range block.PlanCompaction(idle, s.opts.Compaction, s.opts.Now()) {
		take(group...)
	}
	for _, b := range idle {
		if r := byBlock[b]; r != nil && slices.ContainsFunc(t.tombs, func(d *tombstone) bool { return d.covers(r) }) {
			take(b)
		}
	}
	return out
}

// mergeAndReplace writes one block in place of others.
func (s *Store) mergeAndReplace(ctx context.Context, t *tenantState, inputs []*blockReader) {
	t.mu.Lock()
	tombs := t.tombs
	t.mu.Unlock()
	var merged *blockReader
	b, err := s.merge(ctx, t, inputs, tombs)
	if err == nil && b != nil {
		if merged, err = openBlock(s.opts.FS, b, s.cache); err != nil {
			err = errors.Join(err, block.Remove(s.opts.FS, b))
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			s.metrics.mergeFailures.Inc()
			s.opts.Logger.Error("cannot merge blocks; they are left as they are", "tenant", t.id, "blocks", len(inputs), "err", err)
		}
		return
	}
	if merged != nil {
		s.tellIDs(t, merged)
	}
	t.mu.Lock()
	t.blocks = slices.DeleteFunc(slices.Clone(t.blocks), func(r *blockReader) bool { return slices.Contains(inputs, r) })
	if merged != nil {
		t.add(merged)
	}
	t.mu.Unlock()
	s.metrics.merged.Add(float64(len(inputs)))
	for _, r := range inputs {
		r.dropped.Store(true)
		r.release()
	}
}

// merge writes the rows of blocks, less those deleted, into one; nil when no
// row is left.
func (s *Store) merge(ctx context.Context, t *tenantState, inputs []*blockReader, tombs []*tombstone) (*block.Block, error) {
	m := &merger{ctx: ctx, spec: s.opts.KeySpec()}
	gen, level := uint32(0), 0
	metas := make([]block.Meta, len(inputs))
	for i, r := range inputs {
		d, err := r.directory(nil)
		if err != nil {
			return nil, err
		}
		in := &mergeInput{r: r, d: d, order: i, hide: compileHidden(tombs, r.gen, r.applied, d.table, m.spec, leaves{})}
		m.inputs = append(m.inputs, in)
		gen, level = max(gen, r.gen), max(level, r.block.Level+1)
		metas[i] = r.block.Meta
	}
	m.unifyColumns()
	m.unifyStreams()
	id, err := block.NewID(s.opts.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	out, err := block.NewWriter(s.opts.FS, s.opts.Dir, t.id, id)
	if err != nil {
		return nil, err
	}
	meta, err := m.write(out, gen, s.opts.pageRows)
	if err != nil || meta.Rows == 0 {
		return nil, errors.Join(err, out.Abort())
	}
	meta.Positions, meta.Replaces, meta.Level = block.Positions(metas), block.Replacing(metas), level
	var applied []string
	for _, d := range tombs {
		if d.Gen >= minGen(inputs) {
			applied = append(applied, d.ID)
		}
	}
	if err := meta.SetStat("deleted", applied); err != nil {
		return nil, errors.Join(err, out.Abort())
	}
	return out.Commit(meta)
}

func minGen(inputs []*blockReader) uint32 {
	least := inputs[0].gen
	for _, r := range inputs {
		least = min(least, r.gen)
	}
	return least
}

// merger joins blocks row by row in their common order. It holds one decoded
// page of each, and those that the page being written still needs.
type merger struct {
	ctx     context.Context
	spec    *model.KeySpec
	inputs  []*mergeInput
	columns []blockColumn
	streams []stream
}

// mergeInput is a cursor over a block.
type mergeInput struct {
	r       *blockReader
	d       *directory
	order   int
	hide    []hidden
	cols    []int      // by column of the new block: the input's, or -1
	codes   [][]uint32 // by column of the new block: new code by old one
	streams []uint32   // new ordinal by old one

	next  int // page to decode next
	src   *sourcePage
	live  []uint16 // rows of src that stay
	at    int      // in live
	times []int64
	sts   []uint64
	hi    []uint64
	lo    []uint64
	lone  uint64 // the stream of all rows when sts is nil
}

// unifyColumns makes the columns of the new block.
func (m *merger) unifyColumns() {
	type joined struct {
		at     int
		values int64
		dict   bool
		codes  map[string]uint32
	}
	byKey := map[columnKey]*joined{}
	for _, in := range m.inputs {
		for i := range in.d.columns {
			c := &in.d.columns[i]
			j := byKey[c.columnKey]
			if j == nil {
				j = &joined{at: len(m.columns), dict: true, codes: map[string]uint32{}}
				byKey[c.columnKey] = j
				m.columns = append(m.columns, blockColumn{columnKey: c.columnKey})
			}
			j.values += c.rows
			if c.rows > 0 {
				j.dict = j.dict && c.dict != nil
			}
			for _, s := range c.dict {
				if _, ok := j.codes[s]; !ok && len(j.codes) <= maxMergedDict {
					j.codes[s] = uint32(len(j.codes))
				}
			}
		}
	}
	for key, j := range byKey {
		if j.dict && hasText(key.kind) && len(j.codes) > 0 && len(j.codes) <= maxMergedDict && worthDict(len(j.codes), int(j.values)) {
			dict := make([]string, len(j.codes))
			for s, c := range j.codes {
				dict[c] = s
			}
			m.columns[j.at].dict = dict
		}
	}
	for _, in := range m.inputs {
		in.cols, in.codes = make([]int, len(m.columns)), make([][]uint32, len(m.columns))
		for i := range in.cols {
			in.cols[i] = -1
		}
		for i := range in.d.columns {
			c := &in.d.columns[i]
			j := byKey[c.columnKey]
			in.cols[j.at] = i
			if m.columns[j.at].dict == nil {
				continue
			}
			codes := make([]uint32, len(c.dict))
			for k, s := range c.dict {
				codes[k] = j.codes[s]
			}
			in.codes[j.at] = codes
		}
	}
}

// unifyStreams makes the streams of the new block; all inputs have theirs in
// the same order.
func (m *merger) unifyStreams() {
	ids := map[string]int{}
	var all []stream
	for _, in := range m.inputs {
		in.streams = make([]uint32, len(in.d.streams))
		for i, s := range in.d.streams {
			key := string(appendStream(nil, s))
			id, ok := ids[key]
			if !ok {
				id = len(all)
				ids[key] = id
				all = append(all, s)
			}
			in.streams[i] = uint32(id)
		}
	}
	sorted, order := sortStreams(all)
	m.streams = sorted
	for _, in := range m.inputs {
		for i, id := range in.streams {
			in.streams[i] = order[id]
		}
	}
}

// write merges all rows into the block.
func (m *merger) write(out *block.Writer, gen uint32, pageRows int) (block.Meta, error) {
	w, err := newBlockWriter(out, m.columns, m.streams, gen, m.spec)
	if err != nil {
		return block.Meta{}, err
	}
	sizes := newBodySizes(m.columns, pageRows)
	q := &mergeQueue{}
	for _, in := range m.inputs {
		ok, err := m.advance(in)
		if err != nil {
			return block.Meta{}, err
		}
		if ok {
			q.inputs = append(q.inputs, in)
		}
	}
	heap.Init(q)
	var refs []rowRef
	for len(q.inputs) > 0 {
		in := q.inputs[0]
		refs = append(refs, rowRef{in.src, in.live[in.at]})
		ok, err := m.advance(in)
		if err != nil {
			return block.Meta{}, err
		}
		if ok {
			heap.Fix(q, 0)
		} else {
			heap.Pop(q)
		}
		if len(refs) < pageRows && len(q.inputs) > 0 {
			continue
		}
		for len(refs) >= pageRows || len(q.inputs) == 0 && len(refs) > 0 {
			n := sizes.cut(refs)
			if err := w.add(refs[:n]); err != nil {
				return block.Meta{}, err
			}
			refs = append(refs[:0], refs[n:]...)
		}
	}
	if w.rows == 0 {
		return block.Meta{}, w.file.Close()
	}
	return w.finish()
}

// advance moves to the next row that stays; false at the end.
func (m *merger) advance(in *mergeInput) (bool, error) {
	if in.src != nil {
		in.at++
	}
	for in.src == nil || in.at >= len(in.live) {
		if in.next >= len(in.d.pages) {
			return false, nil
		}
		if err := m.ctx.Err(); err != nil {
			return false, err
		}
		if err := in.decode(len(m.columns)); err != nil {
			return false, fmt.Errorf("page %d of block %q: %w", in.next, in.r.block.ID, err)
		}
		in.next++
	}
	return true, nil
}

// decode makes the next page the source of rows.
func (in *mergeInput) decode(columns int) error {
	p := in.r.page(in.d, in.next, nil, nil)
	if err := in.r.readWhole(in.d, p, nil); err != nil {
		return err
	}
	rows := fullBitset(p.rows)
	for i := range in.hide {
		if err := in.hide[i].apply(p, rows); err != nil {
			return err
		}
	}
	in.src = &sourcePage{rows: p.rows, vecs: make([]*vector, columns), codes: in.codes, streams: in.streams}
	for out, col := range in.cols {
		v, err := p.vector(col)
		if err != nil {
			return err
		}
		in.src.vecs[out] = v
	}
	in.live, in.at = in.live[:0], 0
	rows.each(func(i int) { in.live = append(in.live, uint16(i)) })
	var err error
	if in.times, err = p.time(); err != nil {
		return err
	}
	if in.sts, err = p.streamOf(); err != nil {
		return err
	}
	in.lone = uint64(p.streamLo)
	hi, err := p.intrinsic(colSeqHi)
	if err != nil {
		return err
	}
	lo, err := p.intrinsic(colSeqLo)
	if err != nil {
		return err
	}
	if hi == nil || lo == nil || hi.n < p.rows || lo.n < p.rows {
		return errShort
	}
	in.hi, in.lo = hi.nums, lo.nums
	for _, st := range in.sts {
		if st >= uint64(len(in.streams)) {
			return errShort
		}
	}
	return nil
}

func (in *mergeInput) stream(row uint16) uint32 {
	if in.sts == nil {
		return in.streams[in.lone]
	}
	return in.streams[in.sts[row]]
}

// mergeQueue has the input with the least next row on top.
type mergeQueue struct{ inputs []*mergeInput }

func (q *mergeQueue) Len() int { return len(q.inputs) }
func (q *mergeQueue) Less(i, j int) bool {
	a, b := q.inputs[i], q.inputs[j]
	x, y := a.live[a.at], b.live[b.at]
	return cmp.Or(cmp.Compare(a.stream(x), b.stream(y)), cmp.Compare(a.times[x], b.times[y]),
		cmp.Compare(a.hi[x], b.hi[y]), cmp.Compare(a.lo[x], b.lo[y]), cmp.Compare(a.order, b.order)) < 0
}
func (q *mergeQueue) Swap(i, j int) { q.inputs[i], q.inputs[j] = q.inputs[j], q.inputs[i] }

// Push implements heap.Interface; inputs only leave.
func (q *mergeQueue) Push(x any) { q.inputs = append(q.inputs, x.(*mergeInput)) }

// Pop implements heap.Interface.
func (q *mergeQueue) Pop() any {
	x := q.inputs[len(q.inputs)-1]
	q.inputs = q.inputs[:len(q.inputs)-1]
	return x
}
