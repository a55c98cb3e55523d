package federate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// entry is what is kept of one id of one source.
type entry struct {
	first, last int64 // earliest start, latest end
	service     string
	records     int64
	failed      bool
	aggs        []agg
}

// side is what one source yielded.
type side struct {
	src     *planSource
	entries map[string]*entry
	// pending holds records without an id of the kind of the rows, by the other
	// ids that they carry: some record may say which row those belong to.
	pending map[string]*pending
	unkeyed int64 // records with no id at all
}

type pending struct {
	keys []model.CorrelationKey
	entry
}

// collector fills sides. It is one run's own.
type collector struct {
	e     *Engine
	t     tenant.ID
	kind  string
	rng   model.TimeRange
	stats *model.QueryStats
	spec  *model.KeySpec

	base *side
	// alias says which ids of the kind of the rows were seen beside an id of
	// another kind.
	alias map[model.CorrelationKey][]string
	ids   int
	bytes int64
}

// entryBytes is about what an entry costs beside its texts.
const entryBytes = 160

// collect asks one source for all of its records.
func (c *collector) collect(ctx context.Context, s *planSource) (*side, error) {
	d := &side{src: s, entries: map[string]*entry{}, pending: map[string]*pending{}}
	var err error
	switch s.Signal {
	case Traces:
		err = c.traces(ctx, d)
	case Logs:
		err = c.logs(ctx, d)
	case Exemplars:
		err = c.exemplars(ctx, d)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot run query %q: %w", s.Name, err)
	}
	return d, nil
}

func (c *collector) traces(ctx context.Context, d *side) error {
	q := &predicate.SpanQuery{Tenant: c.t, Range: c.rng, Filters: []predicate.Expr{d.src.filter}, Project: d.src.project, Stats: c.stats}
	var r record
	for m, err := range c.e.o.Traces.SelectSpans(ctx, q) {
		if err != nil {
			return err
		}
		for i := range m.Spans {
			s := &m.Spans[i]
			if s.Match == 0 {
				continue
			}
			r = record{Row: predicate.SpanRow{SpanRow: s, Facts: &m.Facts, Spec: c.spec}, start: s.Start, end: max(s.Start, s.End),
				service: s.Resource.Service(), failed: s.Status == model.StatusError, keys: r.keys[:0]}
			predicate.EachSpanKey(c.spec, s, r.addKey)
			if err := c.take(d, &r); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (c *collector) logs(ctx context.Context, d *side) error {
	q := &predicate.LogQuery{Tenant: c.t, Range: c.rng, Filter: d.src.filter, Project: d.src.project, Stats: c.stats}
	var r record
	for batch, err := range c.e.o.Logs.SelectLogs(ctx, q) {
		if err != nil {
			return err
		}
		for i := range batch {
			l := &batch[i]
			r = record{Row: predicate.LogRow{LogRow: l, Spec: c.spec}, start: l.Time, end: l.Time,
				service: l.Resource.Service(), failed: l.Severity >= 17, keys: r.keys[:0]}
			predicate.EachLogKey(c.spec, l, r.addKey)
			if err := c.take(d, &r); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (c *collector) exemplars(ctx context.Context, d *side) error {
	// One more than fits: that there are more must be known.
	q := &query.ExemplarQuery{Tenant: c.t, Range: c.rng, Series: d.src.series, Limit: c.e.o.MaxIDs + 1, Stats: c.stats}
	var r record
	for batch, err := range c.e.o.Metrics.Exemplars(ctx, q) {
		if err != nil {
			return err
		}
		for i := range batch {
			x := &batch[i]
			r = record{Row: exemplarRow{x}, start: x.Time, end: x.Time, service: seriesService(x.Series), keys: r.keys[:0]}
			predicate.EachExemplarKey(c.spec, x, r.addKey)
			if err := c.take(d, &r); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func seriesService(ls []model.Label) string {
	for _, name := range []string{"service_name", "service", "job"} {
		for _, l := range ls {
			if l.Name == name && l.Value != "" {
				return l.Value
			}
		}
	}
	return "unknown_service"
}

func (r *record) addKey(k model.CorrelationKey) {
	if !slices.Contains(r.keys, k) {
		r.keys = append(r.keys, k)
	}
}

// bridges reports whether ids of a kind name one request, so that they can say
// which row a record belongs to.
func bridges(kind string) bool { return kind == model.KeyTrace || kind == model.KeyRequest }

// take counts one record to its ids.
func (c *collector) take(d *side, r *record) error {
	keyed, bridged := false, false
	for _, k := range r.keys {
		if k.Kind == c.kind {
			keyed = true
			if err := c.takeID(d, r, k.ID); err != nil {
				return err
			}
		} else {
			bridged = bridged || bridges(k.Kind)
		}
	}
	switch {
	case keyed:
		return nil
	case bridged:
		return c.takePending(d, r)
	}
	d.unkeyed++
	return nil
}

// takeID counts a record to an id, and notes which other ids it bears.
func (c *collector) takeID(d *side, r *record, id string) error {
	known := c.base == nil
	if !known {
		_, known = c.base.entries[id]
	}
	for _, k := range r.keys {
		if k.Kind == c.kind || !bridges(k.Kind) {
			continue
		}
		// An alias to an id that cannot be a row leads nowhere.
		if known || len(c.base.pending) > 0 {
			if err := c.addAlias(d, k, id); err != nil {
				return err
			}
		}
	}
	if !known && len(c.base.pending) == 0 {
		return nil
	}
	en := d.entries[id]
	if en == nil {
		if err := c.grow(d, 1, entryBytes+len(id)); err != nil {
			return err
		}
		en = &entry{}
		d.entries[strings.Clone(id)] = en
	}
	return c.count(d, en, r)
}

func (c *collector) addAlias(d *side, k model.CorrelationKey, id string) error {
	have := c.alias[k]
	if slices.Contains(have, id) {
		return nil
	}
	if err := c.grow(d, 0, entryBytes+len(k.ID)+len(id)); err != nil {
		return err
	}
	c.alias[model.CorrelationKey{Kind: k.Kind, ID: strings.Clone(k.ID)}] = append(have, strings.Clone(id))
	return nil
}

func (c *collector) takePending(d *side, r *record) error {
	var b strings.Builder
	var keys []model.CorrelationKey
	for _, k := range r.keys {
		if bridges(k.Kind) {
			keys = append(keys, k)
			b.WriteString(k.Kind + "\x00" + k.ID + "\x00")
		}
	}
	p := d.pending[b.String()]
	if p == nil {
		if err := c.grow(d, 1, entryBytes+2*b.Len()); err != nil {
			return err
		}
		p = &pending{}
		for _, k := range keys {
			p.keys = append(p.keys, model.CorrelationKey{Kind: k.Kind, ID: strings.Clone(k.ID)})
		}
		d.pending[b.String()] = p
	}
	return c.count(d, &p.entry, r)
}

// count adds one record to an entry.
func (c *collector) count(d *side, en *entry, r *record) error {
	if en.records == 0 {
		en.first, en.last, en.service = r.start, r.end, strings.Clone(r.service)
		en.aggs = make([]agg, len(d.src.columns))
		if err := c.grow(d, 0, len(r.service)+len(en.aggs)*120); err != nil {
			return err
		}
	} else if r.start < en.first || r.start == en.first && r.service < en.service {
		en.service = strings.Clone(r.service)
	}
	en.first, en.last = min(en.first, r.start), max(en.last, r.end)
	en.records++
	en.failed = en.failed || r.failed
	grown := int64(0)
	for i := range d.src.columns {
		col := &d.src.columns[i]
		col.get.each(r, func(v model.Value) { grown += en.aggs[i].add(col.Func, v, r.start) })
	}
	if grown != 0 {
		return c.grow(d, 0, int(grown))
	}
	return nil
}

// grow counts what is kept and refuses what is too much.
func (c *collector) grow(d *side, ids, bytes int) error {
	c.ids += ids
	c.bytes += int64(bytes)
	if c.ids > c.e.o.MaxIDs {
		return fmt.Errorf("%w: with query %q more than %d ids must be kept: narrow its filter or the time range, or join the smaller query first", model.ErrTooMuch, d.src.Name, c.e.o.MaxIDs)
	}
	if c.bytes > c.e.o.MaxBytes {
		return fmt.Errorf("%w: with query %q more than %d MiB must be kept: narrow its filter or the time range, or take fewer columns", model.ErrTooMuch, d.src.Name, c.e.o.MaxBytes>>20)
	}
	return nil
}

// resolve moves pending entries to the ids that some record says they belong
// to, and returns how many records belong to none.
func (c *collector) resolve(d *side) (lost int64) {
	for _, p := range d.pending {
		var ids []string
		for _, k := range p.keys {
			for _, id := range c.alias[k] {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
		if len(ids) == 0 {
			lost += p.records
		}
		for _, id := range ids {
			en := d.entries[id]
			if en == nil {
				en = &entry{}
				d.entries[id] = en
			}
			en.merge(d.src, &p.entry)
		}
	}
	d.pending = nil
	return lost
}

func (en *entry) merge(src *planSource, o *entry) {
	if en.records == 0 {
		en.first, en.last, en.service = o.first, o.last, o.service
		en.aggs = make([]agg, len(src.columns))
	} else if o.first < en.first || o.first == en.first && o.service < en.service {
		en.service = o.service
	}
	en.first, en.last = min(en.first, o.first), max(en.last, o.last)
	en.records += o.records
	en.failed = en.failed || o.failed
	for i := range src.columns {
		en.aggs[i].merge(src.columns[i].Func, &o.aggs[i])
	}
}
