package lokiapi

import (
	"cmp"
	"context"
	"math"
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
	// patternSample bounds the lines mined by one request, spread evenly over
	// the time range.
	patternSample = 24_000
	maxPatterns   = 300
	// maxPatternSlices bounds the points of a trend; minPatternSlices keeps the
	// sample spread when the step is long.
	maxPatternSlices = 120
)

// patternSeries is one template of one level with its trend.
type patternSeries struct {
	Pattern string     `json:"pattern"`
	Level   string     `json:"level"`
	Samples [][2]int64 `json:"samples"`

	total int64
}

// patterns mines templates out of a sample of the lines; the trend is scaled
// by how many lines of each slice and level there are in truth.
func (a *api) patterns(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	start, end, err := a.timeRange(r, time.Hour)
	if err != nil {
		return err
	}
	step, err := durationParam(r, "step", defaultStep(start, end))
	if err != nil {
		return err
	}
	s, err := a.scan(r, t, time.Hour)
	if err != nil {
		return err
	}
	out := []patternSeries{}
	err = a.guarded(r, s, "patterns "+r.Form.Get("query"), func(ctx context.Context) error {
		out, err = a.mine(ctx, s, start, end, step)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, success(out))
}

func (a *api) mine(ctx context.Context, s *scan, start, end time.Time, step time.Duration) ([]patternSeries, error) {
	if !end.After(start) {
		return []patternSeries{}, nil
	}
	if least := end.Sub(start)/maxPatternSlices + 1; step < least {
		step = least
	}
	n := int((end.Sub(start) + step - 1) / step)
	m := newMiner(n)
	sampled := map[string][]int{}
	for i := range n {
		tr := model.TimeRange{Start: start.Add(time.Duration(i) * step).UnixNano(), End: min(start.Add(time.Duration(i+1)*step).UnixNano(), end.UnixNano())}
		q := &predicate.LogQuery{Tenant: s.tenant, Range: tr, Filter: s.filter, Limit: max(patternSample/n, 1),
			Project: []predicate.Field{predicate.Intrinsic(predicate.Body)}, Stats: s.stats}
		for rows, err := range a.Source.SelectLogs(ctx, q) {
			if err != nil {
				return nil, err
			}
			for k := range rows {
				level := rows[k].Severity.Level()
				if sampled[level] == nil {
					sampled[level] = make([]int, n)
				}
				sampled[level][i]++
				m.add(rows[k].Body.Text(), level, i)
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	truth, err := a.levelCounts(ctx, s, start, step, n)
	if err != nil {
		return nil, err
	}
	return trends(m, sampled, truth, start, step), nil
}

// levelCounts counts all lines by level and slice.
func (a *api) levelCounts(ctx context.Context, s *scan, start time.Time, step time.Duration, n int) (map[string][]model.Cell, error) {
	g := logql.NewGroupBy([]string{"detected_level"})
	agg, err := a.Source.AggregateLogs(ctx, &predicate.Aggregation{
		Tenant: s.tenant, Range: s.tr, Filter: s.filter, Step: int64(step), By: g.Fields, Stats: s.stats,
	})
	if err != nil {
		return nil, err
	}
	out := map[string][]model.Cell{}
	for _, x := range agg.Groups {
		out[g.Labels(x.Key).Get("detected_level")] = x.Cells
	}
	return out, nil
}

func trends(m *miner, sampled map[string][]int, truth map[string][]model.Cell, start time.Time, step time.Duration) []patternSeries {
	out := []patternSeries{}
	for _, c := range m.clusters() {
		if len(out) >= maxPatterns {
			break
		}
		for level, counts := range c.counts {
			p := patternSeries{Pattern: c.template(), Level: level, Samples: [][2]int64{}}
			for i, k := range counts {
				if k == 0 {
					continue
				}
				scale := 1.0
				if cells := truth[level]; i < len(cells) && sampled[level][i] > 0 {
					scale = max(1, float64(cells[i].Count)/float64(sampled[level][i]))
				}
				v := int64(math.Round(float64(k) * scale))
				p.Samples = append(p.Samples, [2]int64{start.Add(time.Duration(i) * step).Unix(), v})
				p.total += v
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y patternSeries) int {
		return cmp.Or(cmp.Compare(y.total, x.total), strings.Compare(x.Pattern, y.Pattern), strings.Compare(x.Level, y.Level))
	})
	return out[:min(len(out), maxPatterns)]
}
