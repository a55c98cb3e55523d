package tsdb

import (
	"context"
	"fmt"
	"iter"
	"sort"

	"github.com/prometheus/prometheus/model/labels"

	"braid/pkg/idindex"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

const (
	defaultExemplarLimit = 10_000
	// maxExemplarRows bounds what one question gathers before it is thinned.
	maxExemplarRows = 500_000
	exemplarBatch   = 1024
)

// Exemplars yields the exemplars that answer, oldest first. When there are more
// than the limit it yields an even choice over time and says so.
func (s *Store) Exemplars(ctx context.Context, q *predicate.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	return func(yield func([]model.ExemplarRow, error) bool) {
		t := s.lookup(q.Tenant)
		if t == nil {
			return
		}
		rows, err := t.exemplars.gather(ctx, q)
		if err != nil {
			yield(nil, err)
			return
		}
		rows = thin(rows, q)
		for len(rows) > 0 {
			n := min(len(rows), exemplarBatch)
			if !yield(rows[:n:n], nil) {
				return
			}
			rows = rows[n:]
		}
	}
}

// thin sorts, drops repetitions, and brings the rows down to the limit.
func thin(rows []model.ExemplarRow, q *predicate.ExemplarQuery) []model.ExemplarRow {
	sort.SliceStable(rows, func(i, j int) bool {
		if rows[i].Time != rows[j].Time {
			return rows[i].Time < rows[j].Time
		}
		return compareLabels(rows[i].Series, rows[j].Series) < 0
	})
	out := rows[:0]
	for i := range rows {
		if n := len(out); n > 0 && sameExemplar(&out[n-1], &rows[i]) {
			continue
		}
		out = append(out, rows[i])
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultExemplarLimit
	}
	if len(out) <= limit {
		return out
	}
	q.Stats.Warn("%d exemplars answer, an even choice of %d of them is shown: narrow the time range or the series", len(out), limit)
	chosen := make([]model.ExemplarRow, limit)
	for i := range chosen {
		chosen[i] = out[i*len(out)/limit]
	}
	return chosen
}

func sameExemplar(a, b *model.ExemplarRow) bool {
	return a.Time == b.Time && a.TraceID == b.TraceID && a.SpanID == b.SpanID && a.Value == b.Value && compareLabels(a.Series, b.Series) == 0
}

// exemplarFilter is a question compiled.
type exemplarFilter struct {
	q      *predicate.ExemplarQuery
	sets   [][]*labels.Matcher
	hashes []uint64 // of the id asked for, one a kind; nil when none is
	spec   *model.KeySpec
}

func (s *exemplarStore) compile(q *predicate.ExemplarQuery) (*exemplarFilter, error) {
	f := &exemplarFilter{q: q, spec: s.spec()}
	for _, set := range q.Series {
		var compiled []*labels.Matcher
		for _, m := range set {
			c, err := compileMatcher(m)
			if err != nil {
				return nil, err
			}
			compiled = append(compiled, c)
		}
		f.sets = append(f.sets, compiled)
	}
	if q.ID != "" {
		kinds := []string{q.Kind}
		if q.Kind == "" {
			kinds = f.spec.Kinds()
		}
		for _, k := range kinds {
			f.hashes = append(f.hashes, idindex.Hash(k, q.ID))
		}
	}
	return f, nil
}

var matchTypes = map[string]labels.MatchType{
	"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp,
}

func compileMatcher(m predicate.LabelMatcher) (*labels.Matcher, error) {
	t, ok := matchTypes[m.Op]
	if !ok {
		return nil, fmt.Errorf("%w: label matcher operator %q: use =, !=, =~ or !~", model.ErrInvalid, m.Op)
	}
	c, err := labels.NewMatcher(t, m.Name, m.Value)
	if err != nil {
		return nil, fmt.Errorf("%w: label matcher %s%s%q: %w", model.ErrInvalid, m.Name, m.Op, m.Value, err)
	}
	return c, nil
}

// series reports whether a series satisfies one of the matcher sets.
func (f *exemplarFilter) series(ls []model.Label) bool {
	if len(f.sets) == 0 {
		return true
	}
	for _, set := range f.sets {
		ok := true
		for _, m := range set {
			if !m.Matches(labelValue(ls, m.Name)) {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}

func labelValue(ls []model.Label, name string) string {
	for i := range ls {
		if ls[i].Name == name {
			return ls[i].Value
		}
	}
	return ""
}

// exemplar reports whether one exemplar answers; its series does.
func (f *exemplarFilter) exemplar(e *model.Exemplar) bool {
	if !f.q.Range.Contains(e.Time) {
		return false
	}
	if f.q.ID == "" {
		return true
	}
	found := false
	eachKey(f.spec, e, func(kind, id string) bool {
		found = id == f.q.ID && (f.q.Kind == "" || f.q.Kind == kind)
		return !found
	})
	return found
}

// wants reports whether one of an exemplar's hashes is asked for.
func (f *exemplarFilter) wants(ids []uint64) bool {
	if f.hashes == nil {
		return true
	}
	for _, id := range ids {
		for _, h := range f.hashes {
			if id == h {
				return true
			}
		}
	}
	return false
}

// gather collects the rows that answer, in no order.
func (s *exemplarStore) gather(ctx context.Context, q *predicate.ExemplarQuery) ([]model.ExemplarRow, error) {
	f, err := s.compile(q)
	if err != nil {
		return nil, err
	}
	// Blocks are read under the lock as well: maintenance must not close their
	// files meanwhile, and writers wait for milliseconds at most.
	s.mu.RLock()
	defer s.mu.RUnlock()
	var rows []model.ExemplarRow
	for _, a := range s.byName {
		if !f.series(a.labels) {
			continue
		}
		for i := range a.kept {
			if k := &a.kept[i]; f.wants(k.ids) && f.exemplar(&k.Exemplar) {
				rows = append(rows, model.ExemplarRow{Series: a.labels, Exemplar: k.Exemplar})
			}
		}
		if len(rows) > maxExemplarRows {
			return nil, fmt.Errorf("%w: more than %d exemplars answer: narrow the time range or the series", model.ErrTooMuch, maxExemplarRows)
		}
	}
	having := s.having(f)
	for i := len(s.blocks) - 1; i >= 0; i-- {
		b := s.blocks[i]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !q.Range.Overlaps(b.minT, b.maxT) || having != nil && !having[b] {
			q.Stats.AddBlocks(0, 1)
			continue
		}
		found, err := b.gather(f)
		if err != nil {
			q.Stats.Warn("exemplars of one block are left out: %v", err)
			continue
		}
		rows = append(rows, found...)
		if len(rows) > maxExemplarRows {
			return nil, fmt.Errorf("%w: more than %d exemplars answer: narrow the time range or the series", model.ErrTooMuch, maxExemplarRows)
		}
	}
	return rows, nil
}

// having returns the blocks that hold the id asked for, as the directory says;
// nil when none is asked for.
func (s *exemplarStore) having(f *exemplarFilter) map[*exemplarBlock]bool {
	if f.hashes == nil {
		return nil
	}
	out := map[*exemplarBlock]bool{}
	for _, h := range f.hashes {
		for _, b := range s.ids.Candidates(h, nil) {
			out[b] = true
		}
	}
	return out
}

// gather collects the rows of a block that answer.
func (b *exemplarBlock) gather(f *exemplarFilter) ([]model.ExemplarRow, error) {
	var only map[uint32]bool
	if f.hashes != nil {
		only = map[uint32]bool{}
		for _, h := range f.hashes {
			list, err := b.seriesOfID(h)
			if err != nil {
				return nil, err
			}
			for _, n := range list {
				only[n] = true
			}
		}
		if len(only) == 0 {
			f.q.Stats.AddBlocks(0, 1)
			return nil, nil
		}
	}
	f.q.Stats.AddBlocks(1, 0)
	table, err := b.readSeries()
	if err != nil {
		return nil, err
	}
	frames, err := b.readFrames()
	if err != nil {
		return nil, err
	}
	var rows []model.ExemplarRow
	var frame []byte
	at := -1
	for i := range table {
		s := &table[i]
		if only != nil && !only[uint32(i)] || !f.q.Range.Overlaps(s.minT, s.maxT) || !f.series(s.labels) {
			continue
		}
		if s.frame != at {
			if frame, err = b.frame(frames, s.frame); err != nil {
				return nil, err
			}
			at = s.frame
			f.q.Stats.AddBytes(int64(len(frame)))
		}
		list, err := decodeGroup(frame, s)
		if err != nil {
			return nil, fmt.Errorf("exemplar block %q: %w", b.path, err)
		}
		for j := range list {
			if f.exemplar(&list[j]) {
				rows = append(rows, model.ExemplarRow{Series: s.labels, Exemplar: list[j]})
			}
		}
	}
	f.q.Stats.AddRows(int64(len(rows)))
	return rows, nil
}

func (b *exemplarBlock) frame(frames []section, n int) ([]byte, error) {
	if n < 0 || n >= len(frames) {
		return nil, fmt.Errorf("exemplar block %q: %w: no frame %d", b.path, errCorrupt, n)
	}
	packed, err := b.read(frames[n])
	if err != nil {
		return nil, err
	}
	return zstdDecoder.DecodeAll(packed, nil)
}
