package logstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"braid/pkg/block"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// writeHead turns a sealed head into a published block. On an error nothing is
// published and the head is still whole.
func (s *Store) writeHead(ctx context.Context, t tenant.ID, h *head) (*block.Block, error) {
	id, err := block.NewID(s.opts.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	out, err := block.NewWriter(s.opts.FS, s.opts.Dir, t, id)
	if err != nil {
		return nil, err
	}
	b, err := s.flushInto(ctx, out, h)
	if err != nil {
		if aerr := out.Abort(); aerr != nil {
			err = fmt.Errorf("%w (and cannot clean up: %w)", err, aerr)
		}
		return nil, fmt.Errorf("cannot flush %d log records of tenant %q: %w", h.rows, t, err)
	}
	return b, nil
}

func (s *Store) flushInto(ctx context.Context, out *block.Writer, h *head) (*block.Block, error) {
	columns, sources := h.columnsForBlock()
	streams, order := sortStreams(h.streams)
	for _, src := range sources {
		src.streams = order
	}
	w, err := newBlockWriter(out, columns, streams, h.gen, s.opts.KeySpec())
	if err != nil {
		return nil, err
	}
	refs := h.sortedRows(sources, order)
	body := newBodySizes(columns, s.opts.pageRows)
	for len(refs) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := body.cut(refs)
		if err := w.add(refs[:n]); err != nil {
			return nil, err
		}
		refs = refs[n:]
	}
	m, err := w.finish()
	if err != nil {
		return nil, err
	}
	m.Positions = h.positions
	return out.Commit(m)
}

// sortStreams orders streams by service and then by their bytes, so that like
// rows come to lie together, and returns each one's new ordinal.
func sortStreams(streams []stream) (sorted []stream, order []uint32) {
	type keyed struct {
		service string
		key     string
		old     int
	}
	keys := make([]keyed, len(streams))
	for i, s := range streams {
		keys[i] = keyed{s.resource.Service(), string(appendStream(nil, s)), i}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.key, b.key))
	})
	order = make([]uint32, len(streams))
	for i, k := range keys {
		sorted = append(sorted, streams[k.old])
		order[k.old] = uint32(i)
	}
	return sorted, order
}

// columnsForBlock decides which columns keep a dictionary, and shows the chunks
// as sources. The head must be sealed.
func (h *head) columnsForBlock() ([]blockColumn, []*sourcePage) {
	columns := make([]blockColumn, 0, len(h.cols)+1)
	values := make([]int, len(h.cols))
	for _, c := range h.chunks {
		for col, v := range c.vecs {
			if v != nil {
				values[col] += v.n
			}
		}
	}
	for i, hc := range h.cols {
		c := blockColumn{columnKey: hc.key}
		if hc.dict != nil && len(hc.dict.vals) > 0 && worthDict(len(hc.dict.vals), values[i]) {
			c.dict = hc.dict.vals
		}
		columns = append(columns, c)
	}
	columns = append(columns, blockColumn{columnKey: columnKey{true, colSeqHi, model.KindInt}})
	identity := make([][]uint32, len(columns))
	for i := range columns {
		identity[i] = ordinals(len(columns[i].dict))
	}
	sources := make([]*sourcePage, len(h.chunks))
	for i, c := range h.chunks {
		sources[i] = &sourcePage{rows: c.rows, vecs: c.vecs, codes: identity, seqHi: uint64(h.gen)}
	}
	return columns, sources
}

// worthDict: a dictionary pays when its strings come again.
func worthDict(distinct, values int) bool { return distinct <= 16 || distinct*4 <= values }

func ordinals(n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = uint32(i)
	}
	return out
}

// sortedRows orders the rows of the head by stream, time and sequence.
func (h *head) sortedRows(sources []*sourcePage, order []uint32) []rowRef {
	count := make([]int, len(order)+1)
	for _, c := range h.chunks {
		for _, st := range c.vecs[h.fixed.stream].nums[:c.rows] {
			count[order[st]+1]++
		}
	}
	for i := 1; i < len(count); i++ {
		count[i] += count[i-1]
	}
	starts := slices.Clone(count)
	refs := make([]rowRef, h.rows)
	times := make([]int64, h.rows)
	for i, c := range h.chunks {
		ts := asInts(c.vecs[h.fixed.time].nums)
		for row, st := range c.vecs[h.fixed.stream].nums[:c.rows] {
			at := &count[order[st]]
			refs[*at], times[*at] = rowRef{sources[i], uint16(row)}, ts[row]
			*at++
		}
	}
	for i := range order {
		sortByTime(refs[starts[i]:starts[i+1]], times[starts[i]:starts[i+1]])
	}
	return refs
}

// sortByTime sorts rows, which come in order of arrival, by time and keeps the
// order of equal ones. Mostly there is nothing to do.
func sortByTime(refs []rowRef, times []int64) {
	if slices.IsSorted(times) {
		return
	}
	idx := make([]int32, len(refs))
	for i := range idx {
		idx[i] = int32(i)
	}
	slices.SortFunc(idx, func(a, b int32) int {
		return cmp.Or(cmp.Compare(times[a], times[b]), cmp.Compare(a, b))
	})
	sorted := make([]rowRef, len(refs))
	for i, k := range idx {
		sorted[i] = refs[k]
	}
	copy(refs, sorted)
}

// bodySizes cuts pages so that their text stays bounded.
type bodySizes struct {
	cols     []int
	pageRows int
}

func newBodySizes(columns []blockColumn, pageRows int) bodySizes {
	b := bodySizes{pageRows: pageRows}
	for i, c := range columns {
		if hasText(c.kind) && c.dict == nil {
			b.cols = append(b.cols, i)
		}
	}
	return b
}

// cut returns how many rows the next page takes.
func (b bodySizes) cut(refs []rowRef) int {
	n := min(b.pageRows, len(refs))
	size := 0
	for i, r := range refs[:n] {
		for _, col := range b.cols {
			if k := r.src.find(col, int(r.row)); k >= 0 {
				if v := r.src.vecs[col]; v.form == formText {
					size += int(v.offs[k+1] - v.offs[k])
				}
			}
		}
		if size > maxPageBody && i > 0 {
			return i
		}
	}
	return n
}
