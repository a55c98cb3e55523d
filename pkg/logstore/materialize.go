package logstore

import (
	"fmt"
	"slices"
	"strings"

	"braid/pkg/model"
)

// materializer turns hits into rows. It keeps the pages that it decoded as long
// as they fit its budget, since the rows of one batch are scattered over pages.
type materializer struct {
	sc     *scan
	pages  map[int32]*page
	cost   map[int32]int64
	order  []int32 // by first use
	total  int64
	budget int64
	once   bool // there is one batch: no page comes again
}

func newMaterializer(sc *scan) *materializer {
	return &materializer{sc: sc, pages: map[int32]*page{}, cost: map[int32]int64{}, budget: sc.store.opts.MemoryBudget}
}

// rows decodes a batch of hits, in their order. Rows of a damaged page are left
// out with a warning.
func (m *materializer) rows(hits []hit) ([]model.LogRow, error) {
	if err := m.sc.ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]model.LogRow, len(hits))
	byPage := make([]int, len(hits))
	for i := range byPage {
		byPage[i] = i
	}
	slices.SortStableFunc(byPage, func(a, b int) int { return int(hits[a].cand) - int(hits[b].cand) })
	bad := map[int32]bool{}
	for len(byPage) > 0 {
		cand := hits[byPage[0]].cand
		n := 1
		for n < len(byPage) && hits[byPage[n]].cand == cand {
			n++
		}
		if err := m.page(cand, hits, byPage[:n], out); err != nil {
			c := &m.sc.cands[cand]
			if c.part.reader == nil || !damaged(err) {
				return nil, err
			}
			m.sc.warn(c.part.reader, fmt.Errorf("page %d: %w", c.index, err))
			bad[cand] = true
		}
		byPage = byPage[n:]
	}
	if len(bad) == 0 {
		return out, nil
	}
	kept := out[:0]
	for i := range hits {
		if !bad[hits[i].cand] {
			kept = append(kept, out[i])
		}
	}
	return kept, nil
}

// page fills the rows of one page.
func (m *materializer) page(cand int32, hits []hit, which []int, out []model.LogRow) error {
	p, err := m.open(cand, hits, which)
	if err != nil {
		return err
	}
	for col := range p.schema.cols {
		v, err := p.vector(col)
		if err != nil {
			return err
		}
		if v != nil && v.n > 0 && p.schema.cols[col].intrinsic {
			fillIntrinsic(p.schema.cols[col].name, v, hits, which, out)
		}
	}
	attrs := make([]model.Attr, 0, len(which)*16)
	var used []int // attribute columns of this page, by name
	for _, col := range p.schema.attrs {
		if v, _ := p.vector(col); v != nil && v.n > 0 {
			used = append(used, col)
		}
	}
	for _, i := range which {
		r := &out[i]
		r.Seq = hits[i].seq
		if err := m.stream(p, int(hits[i].row), r); err != nil {
			return err
		}
		r.Observed += r.Time
		from := len(attrs)
		for _, col := range used {
			v, _ := p.vector(col)
			if k := v.index(int(hits[i].row)); k >= 0 {
				attrs = append(attrs, model.Attr{Key: p.schema.cols[col].name, Value: owned(v, k)})
			}
		}
		if len(attrs) > from {
			r.Attrs = attrs[from:len(attrs):len(attrs)]
		}
	}
	m.account(cand, p)
	return nil
}

// owned returns value i in memory of its own: a row must not keep a page alive.
// Dictionaries are shared by all rows and stay.
func owned(v *vector, i int) model.Value {
	if v.form == formText {
		return model.Raw(v.kind, 0, strings.Clone(v.str(i)))
	}
	return v.value(i)
}

func (m *materializer) stream(p *page, row int, r *model.LogRow) error {
	ords, err := p.streamOf()
	if err != nil {
		return err
	}
	st := uint64(p.streamLo)
	if ords != nil {
		st = ords[row]
	}
	if st >= uint64(len(p.streams)) {
		return errShort
	}
	r.Resource, r.Scope = p.streams[st].resource, p.streams[st].scope
	return nil
}

func fillIntrinsic(name string, v *vector, hits []hit, which []int, out []model.LogRow) {
	for _, i := range which {
		k := v.index(int(hits[i].row))
		if k < 0 {
			continue
		}
		r := &out[i]
		switch name {
		case colTime:
			r.Time = int64(v.nums[k])
		case colObserved:
			r.Observed = int64(v.nums[k])
		case colSeverity:
			r.Severity = model.SeverityNumber(v.nums[k])
		case colSevText:
			r.SeverityText = owned(v, k).Str()
		case colEvent:
			r.EventName = owned(v, k).Str()
		case colFlags:
			r.Flags = uint32(v.nums[k])
		case colDropped:
			r.DroppedAttrs = uint32(v.nums[k])
		case colTrace:
			copy(r.TraceID[:], v.fixed(k))
		case colSpan:
			copy(r.SpanID[:], v.fixed(k))
		case colBody:
			r.Body = owned(v, k)
		}
	}
}

// open returns the page of a candidate. When all rows fit one batch, the page is
// decoded for those rows alone.
func (m *materializer) open(cand int32, hits []hit, which []int) (*page, error) {
	if p := m.pages[cand]; p != nil {
		return p, nil
	}
	c := &m.sc.cands[cand]
	if c.part.reader == nil {
		return c.open(m.sc.stats, nil), nil
	}
	mem := (*arena)(nil)
	if m.once {
		mem = &m.sc.arenas[0]
	}
	p := c.open(m.sc.stats, mem)
	if m.once && len(which) < p.rows/8 {
		p.only = newBitset(p.rows)
		for _, i := range which {
			p.only.set(int(hits[i].row))
		}
	}
	return p, c.part.reader.readWhole(c.part.dir, p, m.sc.stats)
}

// account keeps a page for the next batches and lets go of the oldest ones
// beyond the budget. Chunks of a head cost nothing.
func (m *materializer) account(cand int32, p *page) {
	if m.once {
		return
	}
	if m.pages[cand] == nil {
		m.pages[cand] = p
		m.order = append(m.order, cand)
	}
	if p.load == nil {
		return
	}
	size := int64(0)
	for _, v := range p.vecs {
		if v != nil {
			size += int64(len(v.rows)*2 + len(v.codes)*4 + len(v.nums)*8 + len(v.offs)*4 + len(v.data) + 200)
		}
	}
	m.total += size - m.cost[cand]
	m.cost[cand] = size
	for m.total > m.budget && len(m.order) > 1 {
		old := m.order[0]
		m.order = m.order[1:]
		m.total -= m.cost[old]
		delete(m.pages, old)
		delete(m.cost, old)
	}
}
