package searchapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

// cost is what an answer took.
type cost struct {
	Rows    int64 `json:"rowsScanned"`
	Bytes   int64 `json:"bytesRead"`
	Blocks  int64 `json:"blocksRead"`
	Skipped int64 `json:"blocksSkipped"`
}

func costOf(s *model.QueryStats) cost {
	if s == nil {
		return cost{}
	}
	return cost{s.Rows.Load(), s.Bytes.Load(), s.Blocks.Load(), s.BlocksSkipped.Load()}
}

func (a *api) search(ctx context.Context, t tenant.ID, p params) (any, error) {
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	order, err := p.order()
	if err != nil {
		return nil, err
	}
	limit, err := p.count("limit", 0)
	if err != nil {
		return nil, err
	}
	after, err := p.cursor("after")
	if err != nil {
		return nil, err
	}
	page, err := a.Explorer.Search(ctx, t, q, order, limit, after)
	if err != nil {
		return nil, err
	}
	return struct {
		Records  []record `json:"records"`
		Next     string   `json:"next,omitempty"`
		Stats    cost     `json:"stats"`
		Warnings []string `json:"warnings,omitempty"`
	}{records(page.Rows), cursorText(page.Next), costOf(page.Stats), page.Warnings}, nil
}

// around answers with the records before and after one, which its place names,
// or its time alone: then the first record of that time that q selects.
func (a *api) around(ctx context.Context, t tenant.ID, p params) (any, error) {
	before, err := p.count("before", 10)
	if err != nil {
		return nil, err
	}
	after, err := p.count("after", 10)
	if err != nil {
		return nil, err
	}
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	row, err := a.find(ctx, t, p)
	if err != nil {
		return nil, err
	}
	var resource *model.Resource
	switch same := p.Get("same"); same {
	case "", "resource":
		resource = row.Resource
	case "none":
	default:
		return nil, invalid("parameter same=%q: expected resource (records of the same sender) or none", same)
	}
	out, err := a.Explorer.Context(ctx, t, q, logql.Cursor{Time: row.Time, Seq: row.Seq}, resource, before, after)
	if err != nil {
		return nil, err
	}
	return struct {
		Before []record `json:"before"`
		Record record   `json:"record"`
		After  []record `json:"after"`
		Stats  cost     `json:"stats"`
	}{records(out.Before), recordOf(row), records(out.After), costOf(out.Stats)}, nil
}

// maxSameTime bounds the records of one time that are looked through.
const maxSameTime = 10_000

func (a *api) find(ctx context.Context, t tenant.ID, p params) (*model.LogRow, error) {
	at, err := p.cursor("at")
	if err != nil {
		return nil, err
	}
	q := logql.Question{}
	if at == nil {
		when, err := p.time("time")
		if err != nil {
			return nil, err
		}
		if when.IsZero() {
			return nil, invalid("parameter at is missing: expected the place that an answer gives a record, or time, its time")
		}
		q.Search, q.Start = p.Get("q"), when
	} else {
		q.Start = time.Unix(0, at.Time)
	}
	q.End = q.Start.Add(1)
	page, err := a.Explorer.Search(ctx, t, q, predicate.OldestFirst, maxSameTime, nil)
	if err != nil {
		return nil, err
	}
	for i := range page.Rows {
		if at == nil || page.Rows[i].Seq == at.Seq {
			return &page.Rows[i], nil
		}
	}
	return nil, fmt.Errorf("there is no such record (any more): %w", model.ErrNotFound)
}

func (a *api) histogram(ctx context.Context, t tenant.ID, p params) (any, error) {
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	buckets, err := p.count("buckets", 0)
	if err != nil {
		return nil, err
	}
	bars, err := a.Explorer.Histogram(ctx, t, q, p.Get("by"), buckets)
	if err != nil {
		return nil, err
	}
	if bars.Bars == nil {
		bars.Bars = []logql.Bar{}
	}
	return struct {
		Start string      `json:"start"`
		Step  string      `json:"step"`
		Bars  []logql.Bar `json:"bars"`
		Total int64       `json:"total"`
		Stats cost        `json:"stats"`
	}{nanos(bars.Start.UnixNano()), nanos(int64(bars.Step)), bars.Bars, bars.Total, costOf(bars.Stats)}, nil
}

func (a *api) fields(ctx context.Context, t tenant.ID, p params) (any, error) {
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	limit, err := p.count("limit", 0)
	if err != nil {
		return nil, err
	}
	list, err := a.Explorer.Fields(ctx, t, q, p.Get("prefix"), limit)
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []logql.FieldSummary{}
	}
	return map[string]any{"fields": list}, nil
}

func (a *api) facets(ctx context.Context, t tenant.ID, p params) (any, error) {
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	top, err := p.count("top", 0)
	if err != nil {
		return nil, err
	}
	names := p.names("field")
	if len(names) == 0 {
		return nil, invalid("parameter field is missing: expected the names of the fields whose values to count")
	}
	list, err := a.Explorer.Facets(ctx, t, q, names, top)
	if err != nil {
		return nil, err
	}
	return map[string]any{"facets": list}, nil
}

// fieldStats is all that is known of one field.
type fieldStats struct {
	logql.Facet
	// Numbers describe the values that are numbers, when there are any.
	Numbers *logql.NumberStats `json:"numbers,omitempty"`
}

func (a *api) stats(ctx context.Context, t tenant.ID, p params) (any, error) {
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	top, err := p.count("top", 0)
	if err != nil {
		return nil, err
	}
	name := p.Get("field")
	if name == "" {
		return nil, invalid("parameter field is missing: expected the name of a field")
	}
	facets, err := a.Explorer.Facets(ctx, t, q, []string{name}, top)
	if err != nil {
		return nil, err
	}
	if len(facets) != 1 {
		return nil, errors.New("no facet for the field")
	}
	out := fieldStats{Facet: facets[0]}
	numbers, ok, err := a.Explorer.FieldStats(ctx, t, q, name)
	if err != nil {
		return nil, err
	}
	if ok {
		for _, v := range []*float64{&numbers.Min, &numbers.Max, &numbers.Sum, &numbers.Avg} {
			*v = finite(*v)
		}
		out.Numbers = &numbers
	}
	return out, nil
}

// finite makes a number that JSON can hold.
func finite(v float64) float64 {
	switch {
	case math.IsNaN(v):
		return 0
	case v > math.MaxFloat64:
		return math.MaxFloat64
	case v < -math.MaxFloat64:
		return -math.MaxFloat64
	}
	return v
}
