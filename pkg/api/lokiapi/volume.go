package lokiapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

const (
	defaultVolumeLimit = 100
	maxVolumeSeries    = 1000
	// maxVolumeLimit is what Logs Drilldown asks for.
	maxVolumeLimit   = 10_000
	maxVolumeBuckets = 11_000
)

// exactStatsRows is up to how many lines the bytes of index/stats are measured;
// those of more are estimated, since the editor asks at every pause in typing.
const exactStatsRows = 50_000

// indexStats says how much a query would read: the hint in the query editor.
func (a *api) indexStats(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	s, err := a.scan(r, t, time.Hour)
	if err != nil {
		return err
	}
	var out struct {
		Streams int64 `json:"streams"`
		Chunks  int64 `json:"chunks"`
		Entries int64 `json:"entries"`
		Bytes   int64 `json:"bytes"`
	}
	err = a.guarded(r, s, "index/stats "+r.Form.Get("query"), func(ctx context.Context) error {
		groups, err := a.streams(ctx, s, 0, predicate.CountOnly)
		if err != nil {
			return err
		}
		for _, g := range groups {
			out.Streams++
			out.Entries += int64(g.cells[0].Count)
		}
		out.Bytes, err = a.bodyBytes(ctx, s, out.Entries)
		return err
	})
	if err != nil {
		return err
	}
	out.Chunks = max(s.stats.Blocks.Load(), min(out.Streams, 1))
	return writeJSON(w, out)
}

const (
	statsSlices      = 8
	statsSliceSample = 64
)

// bodyBytes measures the bytes of n lines, or estimates them from a sample
// spread over the time range.
func (a *api) bodyBytes(ctx context.Context, s *scan, n int64) (int64, error) {
	if n <= exactStatsRows {
		agg, err := a.Source.AggregateLogs(ctx, &predicate.Aggregation{
			Tenant: s.tenant, Range: s.tr, Filter: s.filter, Measure: predicate.Numbers, Of: predicate.Intrinsic(predicate.Body), Stats: s.stats,
		})
		if err != nil {
			return 0, err
		}
		sum := 0.0
		for i := range agg.Groups {
			sum += total(agg.Groups[i].Cells)
		}
		return int64(sum), nil
	}
	body := predicate.Intrinsic(predicate.Body)
	width := (s.tr.End-s.tr.Start)/statsSlices + 1
	var lines, bytes int64
	for i := range int64(statsSlices) {
		tr := model.TimeRange{Start: s.tr.Start + i*width, End: min(s.tr.Start+(i+1)*width, s.tr.End)}
		q := &predicate.LogQuery{Tenant: s.tenant, Range: tr, Filter: s.filter, Limit: statsSliceSample, Project: []predicate.Field{body}, Stats: s.stats}
		for rows, err := range a.Source.SelectLogs(ctx, q) {
			if err != nil {
				return 0, err
			}
			for k := range rows {
				lines++
				bytes += int64(len(rows[k].Body.Text()))
			}
		}
	}
	return int64(float64(bytes) / float64(max(lines, 1)) * float64(n)), nil
}

// volumeQuery is what both volume endpoints read.
type volumeQuery struct {
	*scan
	limit    int
	byLabels bool
	targets  []string
	start    time.Time
	end      time.Time
}

func (a *api) volumeParams(r *http.Request, t tenant.ID) (*volumeQuery, error) {
	q := &volumeQuery{}
	var err error
	if q.start, q.end, err = a.timeRange(r, time.Hour); err != nil {
		return nil, err
	}
	if q.scan, err = a.scan(r, t, time.Hour); err != nil {
		return nil, err
	}
	if q.limit, err = intParam(r, "limit", defaultVolumeLimit); err != nil {
		return nil, err
	}
	q.limit = min(max(q.limit, 1), maxVolumeLimit)
	switch by := r.Form.Get("aggregateBy"); by {
	case "", "series":
	case "labels":
		q.byLabels = true
	default:
		return nil, invalid("parameter aggregateBy=%q: expected series or labels", by)
	}
	for _, name := range strings.Split(r.Form.Get("targetLabels"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			q.targets = append(q.targets, name)
		}
	}
	if len(q.targets) == 0 && !q.byLabels {
		if sel, err := logql.ParseSelection(r.Form.Get("query")); err == nil {
			for _, m := range sel.Matchers {
				if !slices.Contains(q.targets, m.Name) {
					q.targets = append(q.targets, m.Name)
				}
			}
		}
	}
	return q, nil
}

// volumes sums the bytes of lines by target labels, largest first.
func (a *api) volumes(ctx context.Context, q *volumeQuery, step int64) ([]streamGroup, error) {
	var groups []streamGroup
	var err error
	switch {
	case q.byLabels:
		groups, err = a.volumesByLabel(ctx, q, step)
	case len(q.targets) == 0:
		groups, err = a.streams(ctx, q.scan, step, predicate.Numbers)
	default:
		groups, err = a.volumesByTarget(ctx, q, step)
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(groups, func(x, y streamGroup) int {
		return cmp.Or(cmp.Compare(total(y.cells), total(x.cells)), strings.Compare(x.labels.Key(), y.labels.Key()))
	})
	return groups[:min(q.limit, len(groups))], nil
}

func total(cells []model.Cell) (sum float64) {
	for i := range cells {
		sum += cells[i].Sum
	}
	return sum
}

func (a *api) volumesByTarget(ctx context.Context, q *volumeQuery, step int64) ([]streamGroup, error) {
	g := logql.NewGroupBy(q.targets)
	agg, err := a.Source.AggregateLogs(ctx, &predicate.Aggregation{
		Tenant: q.tenant, Range: q.tr, Filter: q.filter, Step: step, By: g.Fields,
		Measure: predicate.Numbers, Of: predicate.Intrinsic(predicate.Body), MaxGroups: maxSeriesReturned, Stats: q.stats,
	})
	if err != nil {
		return nil, err
	}
	var out []streamGroup
	for i := range agg.Groups {
		ls := g.Labels(agg.Groups[i].Key)
		if len(ls) > 0 {
			out = addGroup(out, ls, agg.Groups[i].Cells)
		}
	}
	return out, nil
}

// volumesByLabel counts for every label name the bytes of the streams that
// have it.
func (a *api) volumesByLabel(ctx context.Context, q *volumeQuery, step int64) ([]streamGroup, error) {
	streams, err := a.streams(ctx, q.scan, step, predicate.Numbers)
	if err != nil {
		return nil, err
	}
	var out []streamGroup
	index := map[string]int{}
	for _, s := range streams {
		for _, l := range s.labels {
			if len(q.targets) > 0 && !slices.Contains(q.targets, l.Name) {
				continue
			}
			at, ok := index[l.Name]
			if !ok {
				at = len(out)
				index[l.Name] = at
				out = append(out, streamGroup{logql.Labels{{Name: l.Name}}, make([]model.Cell, len(s.cells))})
			}
			mergeCells(out[at].cells, s.cells)
		}
	}
	return out, nil
}

func addGroup(groups []streamGroup, ls logql.Labels, cells []model.Cell) []streamGroup {
	key := ls.Key()
	for i := range groups {
		if groups[i].labels.Key() == key {
			mergeCells(groups[i].cells, cells)
			return groups
		}
	}
	return append(groups, streamGroup{ls, cells})
}

func mergeCells(dst, src []model.Cell) {
	for i := range src {
		if i < len(dst) {
			dst[i].Merge(&src[i])
		}
	}
}

func (a *api) volume(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	q, err := a.volumeParams(r, t)
	if err != nil {
		return err
	}
	res := &logql.Result{Type: logql.Vector, Stats: q.stats}
	err = a.guarded(r, q.scan, "index/volume "+r.Form.Get("query"), func(ctx context.Context) error {
		groups, err := a.volumes(ctx, q, 0)
		for _, g := range groups {
			res.Series = append(res.Series, logql.Series{Labels: g.labels, Points: []logql.Point{{Time: q.end.UnixMilli(), Value: total(g.cells)}}})
		}
		return err
	})
	if err != nil {
		return err
	}
	res.Elapsed = time.Since(q.begin)
	return writeResult(w, res, false)
}

func (a *api) volumeRange(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	q, err := a.volumeParams(r, t)
	if err != nil {
		return err
	}
	step, err := durationParam(r, "step", defaultStep(q.start, q.end))
	if err != nil {
		return err
	}
	if step <= 0 || q.end.Sub(q.start)/step >= maxVolumeBuckets {
		return invalid("parameter step=%s is too short for the time range", step)
	}
	res := &logql.Result{Type: logql.Matrix, Stats: q.stats}
	err = a.guarded(r, q.scan, "index/volume_range "+r.Form.Get("query"), func(ctx context.Context) error {
		groups, err := a.volumes(ctx, q, int64(step))
		for _, g := range groups {
			s := logql.Series{Labels: g.labels}
			for i := range g.cells {
				if g.cells[i].Count > 0 {
					at := min(q.start.Add(time.Duration(i+1)*step).UnixMilli(), q.end.UnixMilli())
					s.Points = append(s.Points, logql.Point{Time: at, Value: g.cells[i].Sum})
				}
			}
			res.Series = append(res.Series, s)
		}
		return err
	})
	if err != nil {
		return err
	}
	res.Elapsed = time.Since(q.begin)
	return writeResult(w, res, false)
}
