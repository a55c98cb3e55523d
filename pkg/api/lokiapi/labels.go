package lokiapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

const (
	// maxLabelNames bounds the fields asked of the source.
	maxLabelNames = 10_000
	// maxLabelValues bounds the values of one label returned.
	maxLabelValues = 10_000
	// maxStreamFields bounds the resource attributes by which streams are told
	// apart, the most frequent first.
	maxStreamFields = 64
	// maxSeriesReturned bounds the streams counted and listed.
	maxSeriesReturned = 50_000
	// labelLookback is the time that label endpoints look at without start.
	labelLookback = 6 * time.Hour
)

// selectorFilter reads an optional query parameter into a filter. Only what
// the source can apply counts: parsers behind it are left out.
func selectorFilter(query string) (predicate.Expr, error) {
	if query == "" {
		return predicate.True{}, nil
	}
	s, err := logql.ParseSelection(query)
	if err != nil {
		return nil, err
	}
	return logql.Filter(s), nil
}

// scan is what the label endpoints share: where to look.
type scan struct {
	tenant tenant.ID
	tr     model.TimeRange
	filter predicate.Expr
	stats  *model.QueryStats
	begin  time.Time
}

func (a *api) scan(r *http.Request, t tenant.ID, lookback time.Duration) (*scan, error) {
	start, end, err := a.timeRange(r, lookback)
	if err != nil {
		return nil, err
	}
	filter, err := selectorFilter(r.Form.Get("query"))
	if err != nil {
		return nil, err
	}
	return &scan{t, modelRange(start, end), filter, &model.QueryStats{}, time.Now()}, nil
}

// guarded runs a piece of work that does not pass the engine under the guard.
func (a *api) guarded(r *http.Request, s *scan, text string, work func(ctx context.Context) error) (err error) {
	ctx := r.Context()
	if a.Guard != nil {
		guarded, done, err2 := a.Guard.Begin(ctx, s.tenant, "loki", text)
		if err2 != nil {
			return err2
		}
		ctx = guarded
		defer func() { done(s.stats, err) }()
	}
	return work(ctx)
}

// streamFields lists the resource attributes of the rows, by name.
func (a *api) streamFields(ctx context.Context, s *scan) ([]predicate.FieldInfo, error) {
	all, err := a.Source.LogFields(ctx, &predicate.FieldQuery{Tenant: s.tenant, Range: s.tr, Filter: s.filter, Limit: maxLabelNames, Stats: s.stats})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(f predicate.FieldInfo) bool { return f.Field.Scope != predicate.ScopeResource }), nil
}

func (a *api) labelNames(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	s, err := a.scan(r, t, labelLookback)
	if err != nil {
		return err
	}
	names := []string{}
	err = a.guarded(r, s, "labels "+r.Form.Get("query"), func(ctx context.Context) error {
		fields, err := a.streamFields(ctx, s)
		if err != nil {
			return err
		}
		for _, f := range fields {
			names = append(names, predicate.Underscore(f.Field.Name))
		}
		if len(fields) > 0 {
			names = append(names, "service_name")
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	return writeJSON(w, success(slices.Compact(names)))
}

func (a *api) labelValues(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	s, err := a.scan(r, t, labelLookback)
	if err != nil {
		return err
	}
	var values []string
	err = a.guarded(r, s, "label values "+r.PathValue("name"), func(ctx context.Context) error {
		var err error
		values, err = a.valuesOf(ctx, s, r.PathValue("name"), maxLabelValues)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, success(values))
}

// valuesOf lists the values of a label, sorted.
func (a *api) valuesOf(ctx context.Context, s *scan, name string, limit int) ([]string, error) {
	out := []string{}
	chain, def := logql.Fields(name)
	lacking := predicate.And{}
	for _, f := range chain {
		infos, err := a.Source.LogFields(ctx, &predicate.FieldQuery{
			Tenant: s.tenant, Range: s.tr, Filter: predicate.AllOf(s.filter, lacking), Field: &f, Limit: limit, Stats: s.stats,
		})
		if err != nil {
			return nil, err
		}
		for _, i := range infos {
			if v := i.Value.Text(); v != "" {
				out = append(out, v)
			}
		}
		lacking = append(slices.Clone(lacking), predicate.Not{X: predicate.Exists{Field: f}})
	}
	if def != "" {
		any, err := a.exists(ctx, s, predicate.AllOf(s.filter, lacking))
		if err != nil {
			return nil, err
		}
		if any {
			out = append(out, def)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (a *api) exists(ctx context.Context, s *scan, filter predicate.Expr) (bool, error) {
	for rows, err := range a.Source.SelectLogs(ctx, &predicate.LogQuery{Tenant: s.tenant, Range: s.tr, Filter: filter, Limit: 1, Project: []predicate.Field{}, Stats: s.stats}) {
		if err != nil || len(rows) > 0 {
			return len(rows) > 0, err
		}
	}
	return false, nil
}

// streamGroup is one stream with the rows and bytes that it has, by bucket.
type streamGroup struct {
	labels logql.Labels
	cells  []model.Cell
}

// streams counts rows and bytes by stream; step 0 means one bucket.
func (a *api) streams(ctx context.Context, s *scan, step int64, measure predicate.Measure) ([]streamGroup, error) {
	fields, err := a.streamFields(ctx, s)
	if err != nil {
		return nil, err
	}
	var by []predicate.Field
	for _, f := range fields {
		if len(by) < maxStreamFields && !slices.Contains(by, f.Field) {
			by = append(by, f.Field)
		}
	}
	agg, err := a.Source.AggregateLogs(ctx, &predicate.Aggregation{
		Tenant: s.tenant, Range: s.tr, Filter: s.filter, Step: step, By: by,
		Measure: measure, Of: predicate.Intrinsic(predicate.Body), MaxGroups: maxSeriesReturned, Stats: s.stats,
	})
	if err != nil {
		return nil, err
	}
	out := make([]streamGroup, 0, len(agg.Groups))
	for i := range agg.Groups {
		g := &agg.Groups[i]
		res := &model.Resource{}
		for k, v := range g.Key {
			if v.Kind() != model.KindEmpty {
				res.Attrs = append(res.Attrs, model.Attr{Key: by[k].Name, Value: v})
			}
		}
		out = append(out, streamGroup{logql.StreamLabels(res), g.Cells})
	}
	return out, nil
}

func (a *api) series(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	s, err := a.scan(r, t, labelLookback)
	if err != nil {
		return err
	}
	var filters predicate.Or
	for _, name := range []string{"match[]", "match"} {
		for _, m := range r.Form[name] {
			f, err := selectorFilter(m)
			if err != nil {
				return err
			}
			filters = append(filters, f)
		}
	}
	if len(filters) > 0 {
		s.filter = predicate.AllOf(s.filter, filters)
	}
	out := []map[string]string{}
	err = a.guarded(r, s, "series", func(ctx context.Context) error {
		groups, err := a.streams(ctx, s, 0, predicate.CountOnly)
		for _, g := range groups {
			out = append(out, g.labels.Map())
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, success(out))
}
