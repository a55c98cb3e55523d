package tracestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"braid/pkg/block"
	"braid/pkg/model"
)

// maintainEvery is how often merges and retention are looked for.
const maintainEvery = 10 * time.Second

func (s *Store) maintainLoop(ctx context.Context) {
	defer s.done.Done()
	timer := time.NewTicker(maintainEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.Maintain(ctx); err != nil && ctx.Err() == nil {
			s.metrics.failures.Inc()
			s.opts.Logger.Error("cannot maintain the trace store; it is tried again", "error", err)
		}
	}
}

// Maintain sets damaged blocks aside, drops what retention no longer keeps, merges
// small blocks, and counts the calls of blocks that were written without. It runs by itself unless Options.Manual is set.
func (s *Store) Maintain(ctx context.Context) error {
	var errs []error
	for _, t := range s.allTenants() {
		t.merging.Lock()
		t.dropDamaged()
		errs = append(errs, t.retain(), t.merge(ctx), t.addCalls(ctx))
		t.merging.Unlock()
	}
	return errors.Join(errs...)
}

func (t *tenantStore) blocks() []*blockReader {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.set.blocks)
}

// without takes blocks out of the set.
func (t *tenantStore) without(gone []*blockReader) {
	t.publish(func(old *blockSet) []*blockReader {
		return slices.DeleteFunc(slices.Clone(old.blocks), func(b *blockReader) bool { return slices.Contains(gone, b) })
	}, nil)
}

// dropDamaged sets aside the blocks in which a reader met damage: they do not
// answer, and are kept for an operator to look at.
func (t *tenantStore) dropDamaged() {
	for _, b := range t.blocks() {
		if cause := b.bad.Load(); cause != nil {
			blk, err := b.Block, *cause
			b.onClose = func(*blockReader) { t.store.setAside(blk, err) }
			t.without([]*blockReader{b})
		}
	}
}

func (t *tenantStore) retain() error {
	l := t.store.opts.Limits(t.id)
	r := block.Retention{MaxAge: cmp.Or(l.Retention, t.store.opts.Retention), MaxBytes: cmp.Or(l.RetentionBytes, t.store.opts.RetentionBytes)}
	if r == (block.Retention{}) {
		return nil
	}
	readers := map[*block.Block]*blockReader{}
	var blocks []*block.Block
	for _, b := range t.blocks() {
		readers[b.Block] = b
		blocks = append(blocks, b.Block)
	}
	var gone []*blockReader
	for _, d := range block.PlanRetention(blocks, r, t.store.opts.Now()) {
		t.store.opts.Logger.Info("retention drops a block of spans", "tenant", t.id, "block", d.Block.ID, "reason", d.Reason)
		t.store.metrics.dropped.Inc()
		gone = append(gone, readers[d.Block])
	}
	t.remove(gone)
	return nil
}

// remove takes blocks out of the set; their folders go with their last reader.
func (t *tenantStore) remove(gone []*blockReader) {
	if len(gone) == 0 {
		return
	}
	for _, b := range gone {
		b.onClose = t.removeFolder
	}
	t.without(gone)
}

func (t *tenantStore) removeFolder(b *blockReader) {
	if err := block.Remove(t.store.opts.FS, b.Block); err != nil {
		t.store.metrics.failures.Inc()
		t.store.opts.Logger.Error("cannot remove a block of spans; it goes at the next start", "tenant", t.id, "block", b.ID, "error", err)
	}
}

func (t *tenantStore) merge(ctx context.Context) error {
	o := &t.store.opts
	for {
		readers := map[*block.Block]*blockReader{}
		var blocks []*block.Block
		for _, b := range t.blocks() {
			readers[b.Block] = b
			blocks = append(blocks, b.Block)
		}
		plan := block.PlanCompaction(blocks, block.Compaction{MaxRows: int64(o.BlockMaxSpans)}, o.Now())
		if len(plan) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		inputs := make([]*blockReader, len(plan[0]))
		for i, b := range plan[0] {
			inputs[i] = readers[b]
		}
		if err := t.mergeBlocks(ctx, inputs); err != nil {
			return err
		}
	}
}

// mergeBlocks replaces blocks by one that holds their spans: traces joined,
// identical spans once.
func (t *tenantStore) mergeBlocks(ctx context.Context, inputs []*blockReader) error {
	for _, b := range inputs {
		b.acquire()
	}
	defer func() {
		for _, b := range inputs {
			b.release()
		}
	}()
	if f := t.store.opts.BeforeMerge; f != nil {
		f(ctx, t.id)
	}
	m, err := newMerger(t, inputs)
	if err != nil {
		t.dropDamaged()
		return fmt.Errorf("cannot merge %d blocks of spans of tenant %q: %w", len(inputs), t.id, err)
	}
	metas := make([]block.Meta, len(inputs))
	meta := block.Meta{MinTime: inputs[0].MinTime, MaxTime: inputs[0].MaxTime}
	for i, b := range inputs {
		meta.Rows += b.Rows
		meta.MinTime, meta.MaxTime = min(meta.MinTime, b.MinTime), max(meta.MaxTime, b.MaxTime)
		metas[i] = b.Meta
		meta.Level = max(meta.Level, b.Level+1)
	}
	meta.Positions, meta.Replaces = block.Positions(metas), block.Replacing(metas)
	out, err := t.write(m.columns(), m.size(), func(b *blockBuilder) error { return m.run(ctx, b) }, meta)
	if err != nil {
		t.dropDamaged()
		return fmt.Errorf("cannot merge %d blocks of spans of tenant %q: %w", len(inputs), t.id, err)
	}
	for _, b := range inputs {
		b.onClose = t.removeFolder
	}
	t.store.metrics.merged.Add(float64(len(inputs)))
	t.publish(func(old *blockSet) []*blockReader {
		keep := slices.DeleteFunc(slices.Clone(old.blocks), func(b *blockReader) bool { return slices.Contains(inputs, b) })
		return append(keep, out)
	}, []*blockReader{out})
	return nil
}

// merger streams the traces of several blocks in the order of one. In memory
// are the lists of traces, a page of each input, and one row group.
type merger struct {
	inputs []*blockReader
	sides  []*sidecar
	copies []*rowCopier
	traces []mergeTrace

	rs     *rowset // the rows of the group at hand; its tables serve the whole merge
	at     rows    // what the builder looks at
	order  []uint32
	resOf  map[*model.Resource]uint32
	scopOf map[*model.Scope]uint32
	// counts, by input, takes the calls off that an input counted of a trace which
	// others have spans of too; nil when all calls are counted anew.
	counts []*blockCounter
}

type mergeTrace struct {
	start int64
	id    model.TraceID
	input int32
	trace uint32
}

func newMerger(t *tenantStore, inputs []*blockReader) (*merger, error) {
	m := &merger{inputs: inputs, rs: newRowset(), resOf: map[*model.Resource]uint32{}, scopOf: map[*model.Scope]uint32{}}
	for i, b := range inputs {
		side, err := b.sidecar()
		if err != nil {
			return nil, err
		}
		m.sides = append(m.sides, side)
		m.copies = append(m.copies, newRowCopier(newPageCursor(b, side, 0, nil)))
		for k, id := range side.traces.ids {
			m.traces = append(m.traces, mergeTrace{start: side.traces.start[k], id: id, input: int32(i), trace: uint32(k)})
		}
	}
	// Parts of one trace side by side, so that the first can take their least start.
	slices.SortFunc(m.traces, func(a, b mergeTrace) int {
		return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.start, b.start))
	})
	for i := 1; i < len(m.traces); i++ {
		if m.traces[i].id == m.traces[i-1].id {
			m.traces[i].start = m.traces[i-1].start
		}
	}
	slices.SortFunc(m.traces, func(a, b mergeTrace) int {
		return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.input, b.input))
	})
	return m, nil
}

// columns plans the block out of what the inputs' classes say.
func (m *merger) columns() []colDef {
	counts, p := keyCounts{}, present{}
	for _, s := range m.sides {
		for c, n := range s.classRows {
			for _, k := range s.shapes[s.classes[c].shape] {
				counts[k] += int64(n)
			}
		}
		for f := range p {
			p[f] = p[f] || s.fixedAt[f] != noColumn
		}
	}
	return planColumns(counts, &p)
}

func (m *merger) size() blockSize {
	z := blockSize{traces: len(m.traces)}
	for _, s := range m.sides {
		z.services += len(s.traces.services)
	}
	return z
}

// adoptCalls adds up the calls of the inputs, so that only those of traces which
// several have are counted.
func (m *merger) adoptCalls(c *callCounter) {
	var known []*minuteGraphs
	for _, b := range m.inputs {
		k, err := b.readCalls()
		if err != nil {
			return
		}
		known = append(known, k)
	}
	if !c.adopt(known...) {
		return
	}
	for i, b := range m.inputs {
		m.counts = append(m.counts, newBlockCounter(b, m.sides[i], nil))
	}
}

func (m *merger) run(ctx context.Context, b *blockBuilder) error {
	m.adoptCalls(b.call)
	for i := 0; i < len(m.traces); {
		k := i + 1
		for k < len(m.traces) && m.traces[k].id == m.traces[i].id {
			k++
		}
		var err error
		if k == i+1 {
			err = m.copy(b, &m.traces[i])
		} else {
			err = m.join(b, m.traces[i:k])
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		i = k
	}
	return m.group(b)
}

// copy takes a trace that one input alone has: its spans are in order, and none
// is there twice.
func (m *merger) copy(b *blockBuilder, x *mergeTrace) error {
	from, tt := m.copies[x.input], &m.sides[x.input].traces
	begun := false
	for n := tt.first[x.trace]; n < tt.first[x.trace+1]; n++ {
		if !begun {
			m.rs.trs = append(m.rs.trs, traceEntry{id: x.id})
			begun = true
		}
		from.cur.turn(int(n / pageRows))
		if err := from.row(m.rs, n, uint32(len(m.rs.trs)-1)); err != nil {
			return err
		}
		if len(m.rs.rows.rows) == groupRows {
			if err := m.group(b); err != nil {
				return err
			}
			begun = false
		}
	}
	return nil
}

// join takes a trace of which several inputs have spans: identical ones once.
func (m *merger) join(b *blockBuilder, parts []mergeTrace) error {
	var refs []ref
	for _, x := range parts {
		refs = append(refs, ref{block: m.inputs[x.input], side: m.sides[x.input], trace: x.trace, cur: m.copies[x.input].cur})
	}
	if m.counts != nil {
		b.call.only[parts[0].id] = struct{}{}
		for _, x := range parts {
			if err := m.counts[x.input].trace(x.trace, -1, b.call.target); err != nil {
				return err
			}
		}
	}
	var err error
	(&view{}).joined(refs, nil, func(r *model.SpanRow) bool {
		err = m.add(b, r)
		return err == nil
	})
	for _, r := range refs {
		if err == nil {
			err = r.cur.fault
		}
	}
	return err
}

func (m *merger) add(b *blockBuilder, r *model.SpanRow) error {
	res, ok := m.resOf[r.Resource]
	if !ok {
		res = m.rs.tab.resource(r.Resource)
		m.resOf[r.Resource] = res
	}
	scope, ok := m.scopOf[r.Scope]
	if !ok {
		scope = m.rs.tab.scope(r.Scope)
		m.scopOf[r.Scope] = scope
	}
	m.rs.push(m.rs.encode(res, scope, &r.Span))
	if len(m.rs.rows.rows) < groupRows {
		return nil
	}
	return m.group(b)
}

// group writes the rows at hand, which came in order, and empties the rowset.
func (m *merger) group(b *blockBuilder) error {
	n := len(m.rs.rows.rows)
	if n == 0 {
		return nil
	}
	for i := len(m.order); i < n; i++ {
		m.order = append(m.order, uint32(i))
	}
	m.at = m.rs.rows
	m.at.tables, m.at.texts = m.rs.tab.snapshot(), m.rs.text.strtab
	if err := b.group(&m.at, m.order[:n]); err != nil {
		return err
	}
	m.rs.empty()
	for _, c := range m.copies {
		c.round++
	}
	return nil
}
