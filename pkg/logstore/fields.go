package logstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

const (
	defaultFields = 1000
	// fieldSample bounds the pages that are looked at: some 200,000 rows, the
	// newest ones and others spread over the range.
	fieldSample = 192
	// maxFieldValues bounds the different values counted of one field.
	maxFieldValues = 50_000
)

// LogFields lists fields or values, most frequent first: see query.LogSource.
// Counts are over the rows looked at; when there are too many pages, a sample
// is looked at and the counts are scaled up.
func (s *Store) LogFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	s.metrics.queries.Inc()
	sc, err := s.newScan(ctx, q.Tenant, q.Range, q.Filter, q.Stats)
	if err != nil {
		return nil, err
	}
	defer sc.close()
	sortCandidates(sc.cands, predicate.NewestFirst)
	scale := sc.sample()
	var out []predicate.FieldInfo
	if q.Field == nil {
		out, err = sc.fieldNames(q)
	} else {
		out, err = sc.fieldValues(q)
	}
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultFields
	}
	slices.SortFunc(out, func(a, b predicate.FieldInfo) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Field.Scope, b.Field.Scope),
			cmp.Compare(a.Field.Name, b.Field.Name), cmp.Compare(a.Value.Kind(), b.Value.Kind()), cmp.Compare(a.Value.Text(), b.Value.Text()))
	})
	out = out[:min(limit, len(out))]
	for i := range out {
		out[i].Count = int64(float64(out[i].Count) * scale)
	}
	return out, nil
}

// sample keeps at most fieldSample pages, the newest quarter of them in a row
// and the others evenly spread, and returns by what to multiply counts.
func (sc *scan) sample() float64 {
	n := len(sc.cands)
	if n <= fieldSample {
		return 1
	}
	newest := fieldSample / 4
	kept := sc.cands[:newest:newest]
	rest := n - newest
	for i := range fieldSample - newest {
		kept = append(kept, sc.cands[newest+i*rest/(fieldSample-newest)])
	}
	sc.cands = kept
	return float64(n) / float64(len(kept))
}

// fieldKey is a field as it is counted.
type fieldKey struct {
	scope predicate.Scope
	name  string
	kind  model.ValueKind
}

// eachMatch calls yield for every page with rows that answer.
func (sc *scan) eachMatch(yield func(p *part, pg *page, rows bitset) error) error {
	for i := range sc.cands {
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		c := &sc.cands[i]
		p := c.open(sc.stats, &sc.arenas[0])
		rows, err := sc.match(c, p)
		if err == nil && rows != nil {
			err = yield(c.part, p, rows)
		}
		if err == nil {
			continue
		}
		if c.part.reader == nil || !damaged(err) {
			return err
		}
		sc.warn(c.part.reader, err)
	}
	return nil
}

// fieldNames counts the rows that have each field.
func (sc *scan) fieldNames(q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	counts := map[fieldKey]int64{}
	distinct := map[fieldKey]int64{}
	err := sc.eachMatch(func(pt *part, p *page, rows bitset) error {
		has := make(bitset, len(rows))
		for col, key := range p.schema.cols {
			k, ok := fieldOf(key)
			if !ok {
				continue
			}
			clear(has)
			d, err := presence(pt, p, col, has)
			if err != nil {
				return err
			}
			has.and(rows)
			if n := int64(has.count()); n > 0 {
				counts[k] += n
				distinct[k] = max(distinct[k], int64(d))
			}
		}
		return streamFields(p, rows, counts)
	})
	if err != nil {
		return nil, err
	}
	if lvl := (fieldKey{predicate.ScopeIntrinsic, predicate.Level, model.KindString}); len(counts) > 0 {
		counts[lvl] = counts[fieldKey{predicate.ScopeIntrinsic, predicate.Time, model.KindInt}]
	}
	var out []predicate.FieldInfo
	for k, n := range counts {
		if strings.HasPrefix(k.name, q.Prefix) {
			out = append(out, predicate.FieldInfo{Field: predicate.Field{Scope: k.scope, Name: k.name}, Kind: k.kind, Count: n, Distinct: distinct[k]})
		}
	}
	return out, nil
}

// fieldOf returns the field that a column holds; ok is false for the columns
// that no query can name.
func fieldOf(c columnKey) (k fieldKey, ok bool) {
	if !c.intrinsic {
		return fieldKey{predicate.ScopeRecord, c.name, c.kind}, true
	}
	switch c.name {
	case colObserved, colSeqHi, colSeqLo, colStream, colDropped:
		return k, false
	}
	return fieldKey{predicate.ScopeIntrinsic, c.name, c.kind}, true
}

// presence sets the rows that have a value in a column, without decoding the
// values of a block's page where that can be avoided, and returns how many
// different strings there are when that is known.
func presence(pt *part, p *page, col int, has bitset) (distinct int, err error) {
	if pt.reader != nil && !pt.dir.pages[p.no].has(col) {
		return 0, nil
	}
	v, err := p.vector(col)
	if err != nil || v == nil {
		return 0, err
	}
	v.present(has)
	return len(v.dict), nil
}

// streamFields counts the attributes of resources and scopes.
func streamFields(p *page, rows bitset, counts map[fieldKey]int64) error {
	ords, err := p.streamOf()
	if err != nil {
		return err
	}
	byStream := map[uint64]int64{}
	rows.each(func(row int) {
		st := uint64(p.streamLo)
		if ords != nil {
			st = ords[row]
		}
		byStream[st]++
	})
	for st, n := range byStream {
		if st >= uint64(len(p.streams)) {
			return errShort
		}
		s := p.streams[st]
		if s.resource != nil {
			for _, a := range s.resource.Attrs {
				counts[fieldKey{predicate.ScopeResource, a.Key, a.Value.Kind()}] += n
			}
		}
		if s.scope == nil {
			continue
		}
		for _, a := range s.scope.Attrs {
			counts[fieldKey{predicate.ScopeInstrumentation, a.Key, a.Value.Kind()}] += n
		}
		if s.scope.Name != "" {
			counts[fieldKey{predicate.ScopeInstrumentation, "name", model.KindString}] += n
		}
		if s.scope.Version != "" {
			counts[fieldKey{predicate.ScopeInstrumentation, "version", model.KindString}] += n
		}
	}
	return nil
}

// fieldValues counts the values of one field.
func (sc *scan) fieldValues(q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	in := newInterner()
	var counts []int64
	var sel []uint16
	readers := map[*part]*fieldReader{}
	err := sc.eachMatch(func(pt *part, p *page, rows bitset) error {
		r := readers[pt]
		if r == nil {
			r = newFieldReader(*q.Field, p.table)
			readers[pt] = r
		}
		sel = rows.list(sel[:0])
		vals, err := r.values(p, rows, sel, in, len(in.vals) >= maxFieldValues)
		if err != nil {
			return err
		}
		counts = append(counts, make([]int64, len(in.vals)-len(counts))...)
		for _, row := range sel {
			if id := vals[row]; id != other {
				counts[id]++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []predicate.FieldInfo
	for id, n := range counts {
		v := in.vals[id]
		if n > 0 && v.Kind() != model.KindEmpty && strings.HasPrefix(v.Text(), q.Prefix) {
			out = append(out, predicate.FieldInfo{Field: *q.Field, Value: v, Kind: v.Kind(), Count: n})
		}
	}
	return out, nil
}
