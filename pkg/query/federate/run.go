package federate

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sort"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// Params of one run.
type Params struct {
	Range model.TimeRange
	// Limit bounds the rows returned; 0 means all.
	Limit int
	Stats *model.QueryStats // may be nil
}

// Result is what a run yields. It belongs to the caller.
type Result struct {
	Columns  []Column
	Rows     [][]model.Value // one value a column; KindEmpty for none
	Complete bool
	Warnings []string
}

// row is one row while it is worked on. key is its id until rows are grouped.
type row struct {
	key   string
	cells []model.Value
}

// Run answers a plan for a tenant. Errors: model.ErrTooMuch beyond the bounds,
// the context's, a source's.
func (e *Engine) Run(ctx context.Context, t tenant.ID, p *Plan, params Params) (*Result, error) {
	stats := params.Stats
	if stats == nil {
		stats = &model.QueryStats{}
	}
	c := &collector{e: e, t: t, kind: p.Kind, rng: params.Range, stats: stats, spec: e.o.KeySpec(), alias: map[model.CorrelationKey][]string{}}
	sides := map[string]*side{}
	for _, s := range p.sources {
		d, err := c.collect(ctx, s)
		if err != nil {
			return nil, err
		}
		sides[s.Name] = d
		if c.base == nil {
			c.base = d
		}
	}
	out := &Result{}
	for _, s := range p.sources {
		d := sides[s.Name]
		if lost := c.resolve(d) + d.unkeyed; lost > 0 && d == c.base {
			out.Warnings = append(out.Warnings, lostText(s.Name, p.Kind, lost))
		}
	}
	t2 := &table{columns: slices.Clone(baseColumns), rows: baseRows(c.base)}
	for _, s := range p.Query.Stages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t2.apply(s, sides)
	}
	out.Columns = t2.columns
	rows := t2.rows
	cut := params.Limit > 0 && len(rows) > params.Limit
	if cut {
		rows = rows[:params.Limit]
		out.Warnings = append(out.Warnings, cutText(params.Limit, len(t2.rows)))
	}
	out.Rows = make([][]model.Value, len(rows))
	for i := range rows {
		out.Rows[i] = rows[i].cells
	}
	settle(out)
	sourceWarnings := stats.Warnings()
	out.Complete = !cut && len(sourceWarnings) == 0
	out.Warnings = append(out.Warnings, sourceWarnings...)
	return out, ctx.Err()
}

// baseRows makes a row of each id, the newest first.
func baseRows(d *side) []row {
	out := make([]row, 0, len(d.entries))
	for id, en := range d.entries {
		out = append(out, row{id, append(make([]model.Value, 0, len(baseColumns)+4), model.String(id), model.Int(en.first), model.Int(en.last-en.first),
			model.String(en.service), model.Bool(en.failed), model.Int(en.records))})
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if c := cmp.Compare(a.cells[1].AsInt(), b.cells[1].AsInt()); c != 0 {
			return c > 0
		}
		return a.key < b.key
	})
	return out
}

// table is the rows between two steps.
type table struct {
	columns []Column
	rows    []row
}

func (t *table) index(name string) int {
	return slices.IndexFunc(t.columns, func(c Column) bool { return c.Name == name })
}

// apply takes one step. The plan has checked that every column is there.
func (t *table) apply(s Stage, sides map[string]*side) {
	switch s := s.(type) {
	case Join:
		d := sides[s.Source]
		t.rows = slices.DeleteFunc(t.rows, func(r row) bool { return (d.entries[r.key] != nil) == s.Anti })
	case Enrich:
		t.enrich(s, sides)
	case Where:
		x := lowerCond(s.Cond)
		t.rows = slices.DeleteFunc(t.rows, func(r row) bool { return !predicate.Eval(x, tableRow{t, r.cells}) })
	case Aggregate:
		t.aggregate(s)
	case Histogram:
		t.histogram(s)
	case Sort:
		t.sort(s.Keys)
	case Top:
		t.sort([]SortKey{{s.Column, !s.Bottom}})
		t.rows = t.rows[:min(len(t.rows), s.N)]
	case Limit:
		t.rows = t.rows[:min(len(t.rows), s.N)]
	case Select:
		t.project(s.Columns)
	}
}

func (t *table) enrich(s Enrich, sides map[string]*side) {
	for _, c := range s.Columns {
		d := sides[c.Source]
		at := slices.IndexFunc(d.src.columns, func(pc planColumn) bool { return pc.EnrichColumn == c })
		for i := range t.rows {
			r := &t.rows[i]
			v := (&agg{}).value(c.Func)
			if en := d.entries[r.key]; en != nil {
				v = en.aggs[at].value(c.Func)
			}
			r.cells = append(r.cells, v)
		}
		_, typ := fieldOf(d.src.Signal, c)
		t.columns = append(t.columns, Column{c.Name, typ})
	}
}

// tableRow lets a predicate look at a row's columns.
type tableRow struct {
	t     *table
	cells []model.Value
}

// Lookup implements predicate.Row.
func (r tableRow) Lookup(f predicate.Field, yield func(model.Value) bool) {
	if i := r.t.index(f.Name); i >= 0 && r.cells[i].Kind() != model.KindEmpty {
		yield(r.cells[i])
	}
}

// Correlated implements predicate.Row; conditions do not ask it.
func (tableRow) Correlated(string, string) bool { return false }

func lowerCond(c Cond) predicate.Expr {
	switch c := c.(type) {
	case AndCond:
		return predicate.And{lowerCond(c.L), lowerCond(c.R)}
	case OrCond:
		return predicate.Or{lowerCond(c.L), lowerCond(c.R)}
	case NotCond:
		return predicate.Not{X: lowerCond(c.X)}
	case Compare:
		return c.match
	}
	return predicate.True{}
}

func (t *table) aggregate(s Aggregate) {
	by := make([]int, len(s.By))
	for i, n := range s.By {
		by[i] = t.index(n)
	}
	of := make([]int, len(s.Columns))
	var columns []Column
	for _, i := range by {
		columns = append(columns, t.columns[i])
	}
	for i, c := range s.Columns {
		of[i] = -1
		typ := TypeInt
		if c.Column != "" {
			of[i] = t.index(c.Column)
			typ = aggType(c.Func, t.columns[of[i]].Type)
		}
		columns = append(columns, Column{c.Name, typ})
	}
	type group struct {
		key  []model.Value
		aggs []agg
	}
	var groups []*group
	index := map[string]*group{}
	var id []byte
	for place, r := range t.rows {
		id = id[:0]
		for _, i := range by {
			id = append(r.cells[i].AppendText(append(id, byte(r.cells[i].Kind()))), 0xff)
		}
		g := index[string(id)]
		if g == nil {
			g = &group{aggs: make([]agg, len(s.Columns))}
			for _, i := range by {
				g.key = append(g.key, r.cells[i])
			}
			index[string(id)] = g
			groups = append(groups, g)
		}
		for i, c := range s.Columns {
			v := model.Int(1)
			if of[i] >= 0 {
				v = r.cells[of[i]]
			}
			if v.Kind() != model.KindEmpty {
				g.aggs[i].add(c.Func, v, int64(place))
			}
		}
	}
	if len(groups) == 0 && len(by) == 0 {
		groups = append(groups, &group{aggs: make([]agg, len(s.Columns))})
	}
	t.columns, t.rows = columns, make([]row, 0, len(groups))
	for _, g := range groups {
		cells := slices.Clone(g.key)
		for i, c := range s.Columns {
			cells = append(cells, g.aggs[i].value(c.Func))
		}
		t.rows = append(t.rows, row{cells: cells})
	}
	// By the keys, so that equal data give equal answers.
	slices.SortStableFunc(t.rows, func(a, b row) int {
		for i := range by {
			if c := compareValues(a.cells[i], b.cells[i]); c != 0 {
				return c
			}
		}
		return 0
	})
}

// histogram counts rows in ranges of equal width from the least value to the
// greatest. Rows without a number are left out.
func (t *table) histogram(s Histogram) {
	at := t.index(s.Column)
	typ := t.columns[at].Type
	var numbers []float64
	for _, r := range t.rows {
		if f, ok := r.cells[at].ParseFloat(); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
			numbers = append(numbers, f)
		}
	}
	integer := typ == TypeDuration || typ == TypeTime
	if !integer {
		typ = TypeDouble
	}
	t.columns, t.rows = []Column{{"from", typ}, {"to", typ}, {"count", TypeInt}}, nil
	if len(numbers) == 0 {
		return
	}
	low, high := slices.Min(numbers), slices.Max(numbers)
	buckets := s.Buckets
	width := high/float64(buckets) - low/float64(buckets)
	if integer {
		width = math.Ceil(width)
	}
	if width == 0 {
		buckets, width = 1, b2f(integer)
	}
	counts := make([]int64, buckets)
	for _, f := range numbers {
		i := 0
		if width > 0 {
			i = int(math.Min((f-low)/width, float64(buckets-1)))
		}
		counts[i]++
	}
	edge := func(i int) model.Value {
		f := low + float64(i)*width
		if integer {
			return model.Int(int64(f))
		}
		if i == buckets {
			f = high
		}
		return model.Double(f)
	}
	for i, n := range counts {
		t.rows = append(t.rows, row{cells: []model.Value{edge(i), edge(i + 1), model.Int(n)}})
	}
}

// sort orders rows; equal ones keep their order. Rows without a value come
// last either way.
func (t *table) sort(keys []SortKey) {
	at := make([]int, len(keys))
	for i, k := range keys {
		at[i] = t.index(k.Column)
	}
	slices.SortStableFunc(t.rows, func(a, b row) int {
		for i, k := range keys {
			x, y := a.cells[at[i]], b.cells[at[i]]
			if nx, ny := x.Kind() == model.KindEmpty, y.Kind() == model.KindEmpty; nx || ny {
				if nx != ny {
					return cmp.Compare(b2f(nx), b2f(ny))
				}
				continue
			}
			c := compareValues(x, y)
			if k.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

func (t *table) project(names []string) {
	var columns []Column
	var at []int
	for _, n := range names {
		i := t.index(n)
		at = append(at, i)
		columns = append(columns, t.columns[i])
	}
	for k := range t.rows {
		cells := make([]model.Value, len(at))
		for j, i := range at {
			cells[j] = t.rows[k].cells[i]
		}
		t.rows[k].cells = cells
	}
	t.columns = columns
}
