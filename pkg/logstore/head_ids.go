package logstore

import (
	"slices"
	"sync"

	"braid/pkg/idindex"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// headIDs is the id index of a head: which of its chunks have a correlation id.
// It is made, and brought up to date, when somebody asks for an id: taking
// records in costs nothing more. Safe for concurrent use.
type headIDs struct {
	mu      sync.Mutex // guards all below
	spec    *model.KeySpec
	ids     idindex.Growing // by chunk
	shared  idindex.Growing // the ids of streams
	streams int             // how many are in shared
	chunk   int             // the one that is indexed in part
	done    []int           // of it, by column: how many values are indexed
}

// reach is what a head has for an expression: those of its chunks that may have
// rows that satisfy it, or, when all is set, any.
type reach struct {
	all    bool
	chunks bitset
}

// narrow returns the expression with those alternatives left out of it that no
// row of a snapshot satisfies, as its ids say, and the chunks where it may hold.
func (x *headIDs) narrow(e predicate.Expr, chunks []*chunk, t *table, rule *ruler) (predicate.Expr, reach) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.extend(chunks, t, rule.spec)
	return x.look(e, len(chunks), rule)
}

func (x *headIDs) look(e predicate.Expr, n int, rule *ruler) (predicate.Expr, reach) {
	switch e := e.(type) {
	case predicate.And:
		out := reach{all: true}
		for _, p := range e {
			_, r := x.look(p, n, rule)
			switch {
			case r.all:
			case out.all:
				out = r
			default:
				out.chunks.and(r.chunks)
			}
		}
		return e, out
	case predicate.Or:
		out := reach{chunks: newBitset(n)}
		left := make(predicate.Or, 0, len(e))
		for _, p := range e {
			q, r := x.look(p, n, rule)
			switch {
			case r.all:
				out.all = true
			case r.chunks.empty():
				continue
			default:
				out.chunks.or(r.chunks)
			}
			left = append(left, q)
		}
		return left, out
	}
	hashes, ok := rule.hashes(e)
	if !ok {
		return e, reach{all: true}
	}
	out := reach{chunks: newBitset(n)}
	for _, h := range hashes {
		if len(x.shared.Find(h, nil)) > 0 {
			return e, reach{all: true}
		}
		for _, c := range x.ids.Find(h, nil) {
			if int(c) < n { // others came after the snapshot
				out.chunks.set(int(c))
			}
		}
	}
	return e, out
}

// extend indexes what a snapshot has more than was indexed before.
func (x *headIDs) extend(chunks []*chunk, t *table, spec *model.KeySpec) {
	if x.spec != spec {
		x.spec, x.ids, x.shared, x.streams, x.chunk, x.done = spec, idindex.Growing{}, idindex.Growing{}, 0, 0, nil
	}
	if x.streams < len(t.streams) {
		eachStreamAttrs(t.streams[x.streams:], func(attrs model.Attrs) {
			predicate.EachAttrKey(spec, attrs, func(k model.CorrelationKey) { x.shared.Add(idKind(k.Kind).Hash(k.ID), 0) })
		})
		x.streams = len(t.streams)
	}
	for x.chunk < len(chunks) {
		x.add(chunks[x.chunk], t)
		if x.chunk == len(chunks)-1 { // it grows: the next snapshot may have more of it
			return
		}
		x.chunk++
		x.done = x.done[:0]
	}
}

func (x *headIDs) add(c *chunk, t *table) {
	for col, v := range c.vecs {
		if v == nil || col >= len(t.schema.cols) {
			continue
		}
		key := &t.schema.cols[col]
		kind, isID := "", false
		if key.intrinsic {
			isID = key.name == colTrace
		} else {
			kind, isID = x.spec.Kind(key.name)
		}
		if !isID {
			continue
		}
		for len(x.done) <= col {
			x.done = append(x.done, 0)
		}
		if from := x.done[col]; from < v.n {
			x.column(v, from, key.intrinsic, kind)
			x.done[col] = v.n
		}
	}
}

func (x *headIDs) column(v *vector, from int, trace bool, kind string) {
	hasher := idKind(kind)
	var seen []uint32
	for i := from; i < v.n; i++ {
		switch {
		case trace:
			x.ids.Add(kindTrace.HashHex([16]byte(v.fixed(i))), uint32(x.chunk))
			continue
		case v.form == formDict && len(seen) < 64:
			if slices.Contains(seen, v.codes[i]) {
				continue
			}
			seen = append(seen, v.codes[i])
		}
		model.EachID(v.value(i), func(text string) bool {
			if id := canonical(kind, text); id != "" {
				x.ids.Add(hasher.Hash(id), uint32(x.chunk))
			}
			return true
		})
	}
}
