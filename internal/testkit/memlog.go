package testkit

import (
	"context"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// MemLog is a source of log records in memory that answers by trying
// predicate.Eval on every record: slow, and right by definition. It satisfies
// query.LogSource.
type MemLog struct {
	// Spec tells which attributes carry correlation ids; nil means the defaults.
	Spec *model.KeySpec
	// BatchSize is how many rows a batch of SelectLogs has; 0 means 7, so that
	// tests cross batch borders.
	BatchSize int

	mu   sync.RWMutex
	rows map[tenant.ID][]model.LogRow // guarded by mu; sorted by time, then Seq
	seq  uint64                       // guarded by mu
}

// Append adds records; they keep their order of arrival among equal times.
func (m *MemLog) Append(t tenant.ID, rows ...model.LogRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = map[tenant.ID][]model.LogRow{}
	}
	have := slices.Clone(m.rows[t])
	for _, r := range rows {
		m.seq++
		r.Seq = m.seq
		have = append(have, r)
	}
	sort.SliceStable(have, func(i, j int) bool { return have[i].Time < have[j].Time })
	m.rows[t] = have
}

// Delete removes the records that satisfy a filter and returns their number.
func (m *MemLog) Delete(t tenant.ID, tr model.TimeRange, filter predicate.Expr) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.rows[t])
	m.rows[t] = slices.DeleteFunc(slices.Clone(m.rows[t]), func(r model.LogRow) bool {
		return tr.Contains(r.Time) && m.holds(filter, &r)
	})
	return before - len(m.rows[t])
}

func (m *MemLog) snapshot(t tenant.ID) []model.LogRow {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.rows[t]
}

func (m *MemLog) spec() *model.KeySpec {
	if m.Spec != nil {
		return m.Spec
	}
	return model.NewKeySpec(nil)
}

func (m *MemLog) holds(e predicate.Expr, r *model.LogRow) bool {
	return e == nil || predicate.Eval(e, predicate.LogRow{LogRow: r, Spec: m.spec()})
}

// matching calls yield for every matching row, oldest first.
func (m *MemLog) matching(t tenant.ID, tr model.TimeRange, e predicate.Expr, stats *model.QueryStats, yield func(*model.LogRow)) {
	spec := m.spec()
	for _, r := range m.snapshot(t) {
		if !tr.Contains(r.Time) {
			continue
		}
		stats.AddRows(1)
		if e == nil || predicate.Eval(e, predicate.LogRow{LogRow: &r, Spec: spec}) {
			yield(&r)
		}
	}
}

// SelectLogs implements query.LogSource.
//
// It returns exactly the fields of the projection, so that a caller that reads
// more is found out.
func (m *MemLog) SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	return func(yield func([]model.LogRow, error) bool) {
		var found []model.LogRow
		m.matching(q.Tenant, q.Range, q.Filter, q.Stats, func(r *model.LogRow) { found = append(found, *r) })
		if q.Order == predicate.NewestFirst {
			slices.Reverse(found)
		}
		if q.Limit > 0 && len(found) > q.Limit {
			found = found[:q.Limit]
		}
		if q.Project != nil {
			for i := range found {
				project(&found[i], q.Project)
			}
		}
		size := m.BatchSize
		if size <= 0 {
			size = 7
		}
		for len(found) > 0 {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			n := min(size, len(found))
			if !yield(found[:n:n], nil) {
				return
			}
			found = found[n:]
		}
	}
}

// project removes what was not asked for.
func project(r *model.LogRow, fields []predicate.Field) {
	wants := func(f predicate.Field) bool { return slices.Contains(fields, f) }
	if !wants(predicate.Intrinsic(predicate.Body)) {
		r.Body = model.Value{}
	}
	if !wants(predicate.Intrinsic(predicate.SeverityText)) {
		r.SeverityText = ""
	}
	if !wants(predicate.Intrinsic(predicate.EventName)) {
		r.EventName = ""
	}
	if !wants(predicate.Intrinsic(predicate.Flags)) {
		r.Flags = 0
	}
	var kept model.Attrs
	for _, a := range r.Attrs {
		if slices.ContainsFunc(fields, func(f predicate.Field) bool {
			return (f.Scope == predicate.ScopeAny || f.Scope == predicate.ScopeRecord) &&
				(f.Name == a.Key || f.Underscored && predicate.Underscore(a.Key) == f.Name)
		}) {
			kept = append(kept, a)
		}
	}
	r.Attrs = kept
}

// AggregateLogs implements query.LogSource.
func (m *MemLog) AggregateLogs(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	out := &model.Aggregate{Start: q.Range.Start, Step: q.Step, Buckets: 1}
	if q.Step > 0 {
		out.Buckets = int((q.Range.End - q.Range.Start + q.Step - 1) / q.Step)
	}
	limit := q.MaxGroups
	if limit == 0 {
		limit = 10_000
	}
	index := map[string]int{}
	m.matching(q.Tenant, q.Range, q.Filter, q.Stats, func(r *model.LogRow) {
		key, id := m.groupKey(q.By, r)
		at, ok := index[id]
		if !ok {
			if len(out.Groups) >= limit {
				out.Dropped++
				return
			}
			at = len(out.Groups)
			index[id] = at
			out.Groups = append(out.Groups, model.AggGroup{Key: key, Cells: make([]model.Cell, out.Buckets)})
		}
		k := 0
		if q.Step > 0 {
			k = int((r.Time - q.Range.Start) / q.Step)
		}
		measure(&out.Groups[at].Cells[k], q, r)
	})
	return out, ctx.Err()
}

func (m *MemLog) groupKey(by []predicate.Field, r *model.LogRow) (key []model.Value, id string) {
	var b strings.Builder
	for _, f := range by {
		v, _ := lookup(r, f)
		key = append(key, v)
		b.WriteByte(byte(v.Kind()))
		b.WriteString(v.Text())
		b.WriteByte(0xff)
	}
	return key, b.String()
}

func lookup(r *model.LogRow, f predicate.Field) (v model.Value, ok bool) {
	predicate.LogRow{LogRow: r}.Lookup(f, func(x model.Value) bool {
		v, ok = x, true
		return false
	})
	return v, ok
}

func measure(c *model.Cell, q *predicate.Aggregation, r *model.LogRow) {
	if q.Measure == predicate.CountOnly {
		c.Add()
		return
	}
	v, ok := lookup(r, q.Of)
	var f float64
	switch {
	case !ok:
	case q.Of == predicate.Intrinsic(predicate.Body):
		f = float64(len(v.Text()))
	case q.OfText:
		f, ok = v.ParseFloat()
	default:
		f, ok = v.Float()
	}
	if !ok {
		c.Add()
		return
	}
	c.Measure(f, q.Measure == predicate.Quantiles)
}

// LogFields implements query.LogSource.
func (m *MemLog) LogFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	index := map[string]int{}
	var out []predicate.FieldInfo
	count := func(id string, info predicate.FieldInfo) {
		at, ok := index[id]
		if !ok {
			at = len(out)
			index[id] = at
			out = append(out, info)
		}
		out[at].Count++
	}
	distinct := map[string]map[string]bool{}
	field := func(scope predicate.Scope, attrs model.Attrs) {
		for _, a := range attrs {
			if !strings.HasPrefix(a.Key, q.Prefix) {
				continue
			}
			id := string(rune('0'+scope)) + a.Key
			count(id, predicate.FieldInfo{Field: predicate.Field{Scope: scope, Name: a.Key}, Kind: a.Value.Kind()})
			if distinct[id] == nil {
				distinct[id] = map[string]bool{}
			}
			distinct[id][a.Value.Text()] = true
			out[index[id]].Distinct = int64(len(distinct[id]))
		}
	}
	m.matching(q.Tenant, q.Range, q.Filter, q.Stats, func(r *model.LogRow) {
		if q.Field == nil {
			field(predicate.ScopeRecord, r.Attrs)
			if r.Scope != nil {
				field(predicate.ScopeInstrumentation, r.Scope.Attrs)
			}
			if r.Resource != nil {
				field(predicate.ScopeResource, r.Resource.Attrs)
			}
			return
		}
		if v, ok := lookup(r, *q.Field); ok && strings.HasPrefix(v.Text(), q.Prefix) {
			count(v.Text(), predicate.FieldInfo{Field: *q.Field, Value: v, Kind: v.Kind()})
		}
	})
	sort.SliceStable(out, func(i, j int) bool { return out[i].Count > out[j].Count })
	limit := q.Limit
	if limit == 0 {
		limit = 1000
	}
	return out[:min(limit, len(out))], ctx.Err()
}
