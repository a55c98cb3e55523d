package tracestore

import (
	"slices"
	"sync"

	"braid/pkg/idindex"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// headIDs is the id index of a head: which of its rows carry a correlation id
// beyond that of their trace. It is made, and brought up to date, when somebody
// asks for an id: taking spans in costs nothing more. Safe for concurrent use.
type headIDs struct {
	mu        sync.Mutex // guards all below
	spec      *model.KeySpec
	keys      keyFinder
	rows      int             // how many are indexed
	ids       idindex.Growing // by row
	resources int             // how many resources and scopes are in shared
	scopes    int
	shared    idindex.Growing
}

// headReach is what a head has for a filter: those of its rows that may satisfy
// it, ascending, or, when all is set, any.
type headReach struct {
	all  bool
	rows []uint32
}

// narrow returns the expression with those alternatives left out of it that no
// row of a snapshot satisfies, as its ids say, and the rows that may.
func (x *headIDs) narrow(e predicate.Expr, v *view, head int, spec *model.KeySpec) (predicate.Expr, headReach) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.extend(v.heads[head], spec)
	return x.look(e, v, head)
}

func (x *headIDs) look(e predicate.Expr, v *view, head int) (predicate.Expr, headReach) {
	switch e := e.(type) {
	case predicate.And:
		out := headReach{all: true}
		for _, p := range e {
			if _, r := x.look(p, v, head); !r.all && (out.all || len(r.rows) < len(out.rows)) {
				out = r
			}
		}
		return e, out
	case predicate.Or:
		out, left := headReach{}, make(predicate.Or, 0, len(e))
		for _, p := range e {
			q, r := x.look(p, v, head)
			if !r.all && len(r.rows) == 0 {
				continue
			}
			out.all = out.all || r.all
			out.rows = append(out.rows, r.rows...)
			left = append(left, q)
		}
		out.rows = distinct(out.rows)
		return left, out
	case predicate.Correlated:
		if e.ID != "" {
			return e, x.id(e, v, head)
		}
	}
	return e, headReach{all: true}
}

// id returns the rows of one id.
func (x *headIDs) id(e predicate.Correlated, v *view, head int) (out headReach) {
	rows := v.heads[head]
	kinds := []string{e.Kind}
	if e.Kind == "" {
		kinds = x.spec.Kinds()
	}
	for _, k := range kinds {
		hash := hashKey(k, e.ID)
		if len(x.shared.Find(hash, nil)) > 0 {
			return headReach{all: true}
		}
		for _, n := range x.ids.Find(hash, nil) {
			if int(n) < len(rows.rows) { // others came after the snapshot
				out.rows = append(out.rows, n)
			}
		}
		if k != model.KeyTrace {
			continue
		}
		if id, ok := model.ParseTraceID(e.ID); ok {
			if t, ok := v.headTrace(head, id); ok {
				out.rows = rows.ofTrace(out.rows, t)
			}
		}
	}
	out.rows = distinct(out.rows)
	return out
}

func distinct(rows []uint32) []uint32 {
	slices.Sort(rows)
	return slices.Compact(rows)
}

// extend indexes what a snapshot has more than was indexed before.
func (x *headIDs) extend(s *rows, spec *model.KeySpec) {
	if x.spec != spec {
		x.spec, x.keys = spec, newKeyFinder(spec)
		x.rows, x.ids, x.resources, x.scopes, x.shared = 0, idindex.Growing{}, 0, 0, idindex.Growing{}
	}
	for ; x.rows < len(s.rows); x.rows++ {
		x.keys.row(s, &s.rows[x.rows], func(hash uint64) { x.ids.Add(hash, uint32(x.rows)) })
	}
	note := func(k model.CorrelationKey) { x.shared.Add(hashKey(k.Kind, k.ID), 0) }
	for ; x.resources < len(s.resources); x.resources++ {
		if r := s.resources[x.resources]; r != nil {
			predicate.EachAttrKey(spec, r.Attrs, note)
		}
	}
	for ; x.scopes < len(s.scopes); x.scopes++ {
		if c := s.scopes[x.scopes]; c != nil {
			predicate.EachAttrKey(spec, c.Attrs, note)
		}
	}
}

// headFilters is the filters of a query as they are for one head; nil programs
// mean that none can match there. rows are those that may, nil for all.
type headFilters struct {
	progs []*program
	rows  []uint32
	all   bool
}

// inHead returns the filters for a head.
func (u *ruler) inHead(head int, progs []*program) headFilters {
	if len(progs) == 0 || !u.byID(progs) {
		return headFilters{progs: progs, all: true}
	}
	out, some := headFilters{progs: slices.Clone(progs)}, false
	for i, p := range progs {
		left, r := u.v.parts[head].ids.narrow(p.expr, u.v, head, u.spec)
		some = some || r.all || len(r.rows) > 0
		out.all = out.all || r.all
		out.rows = append(out.rows, r.rows...)
		if or, ok := left.(predicate.Or); ok && len(or) < len(p.expr.(predicate.Or)) {
			out.progs[i] = p.less(or)
		}
	}
	if !some {
		return headFilters{}
	}
	out.rows = distinct(out.rows)
	return out
}

// byID reports whether each filter asks for ids, so that they alone tell where
// it may hold.
func (u *ruler) byID(progs []*program) bool {
	for _, p := range progs {
		if !asksForID(p.expr) {
			return false
		}
	}
	return true
}

func asksForID(e predicate.Expr) bool {
	switch e := e.(type) {
	case predicate.And:
		return slices.ContainsFunc(e, asksForID)
	case predicate.Or:
		for _, x := range e {
			if !asksForID(x) {
				return false
			}
		}
		return true
	case predicate.Correlated:
		return e.ID != ""
	}
	return false
}
