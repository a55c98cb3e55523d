package rule

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"sort"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// Window is a time to replay a rule over, at every Interval.
type Window struct {
	Start, End time.Time
	Interval   time.Duration
}

// Firing is one time that a replayed alert would have fired. Open: it had not
// ended at the window's end.
type Firing struct {
	Labels              labels.Labels
	Pending, Fired, End time.Time
	Open                bool
	Peak                float64
}

// RangeFunc evaluates an expression at start, start+step, … end.
type RangeFunc func(ctx context.Context, expr string, start, end time.Time, step time.Duration) (promql.Matrix, error)

// replaySteps is how much is asked at once: below Prometheus's 11,000 points.
const replaySteps = 5000

// Replay says when an alerting rule would have fired. The state machine is that
// of the running rules: "for", keep_firing_for and templates included, except
// that a template's query sees nothing.
func Replay(ctx context.Context, p parser.Parser, r rulefmt.Rule, groupLabels map[string]string, w Window, ask RangeFunc) ([]Firing, error) {
	if w.Interval < time.Second || w.End.Before(w.Start) {
		return nil, fmt.Errorf("cannot replay from %s to %s every %s", w.Start, w.End, w.Interval)
	}
	expr, err := p.ParseExpr(r.Expr)
	if err != nil {
		return nil, fmt.Errorf("expr: %w", err)
	}
	ar := rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor), rules.FromMaps(groupLabels, r.Labels),
		labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	open := map[uint64]*Firing{}
	var out []Firing
	// On the interval's own grid, as the server evaluates.
	for from := w.Start.Truncate(w.Interval); !from.After(w.End); from = from.Add(replaySteps * w.Interval) {
		to := from.Add((replaySteps - 1) * w.Interval)
		if to.After(w.End) {
			to = w.End
		}
		m, err := ask(ctx, expr.String(), from, to, w.Interval)
		if err != nil {
			return nil, err
		}
		at := make([]int, len(m))
		for ts := from; !ts.After(to); ts = ts.Add(w.Interval) {
			vector := take(m, at, ts.UnixMilli())
			query := func(_ context.Context, text string, _ time.Time) (promql.Vector, error) {
				if text == expr.String() {
					return vector, nil
				}
				return nil, nil
			}
			if _, err := ar.Eval(ctx, 0, ts, query, &url.URL{}, 0); err != nil {
				return nil, fmt.Errorf("at %s: %w", ts.UTC().Format(time.RFC3339), err)
			}
			out = observe(out, open, ar, ts)
		}
	}
	for _, f := range open {
		f.End, f.Open = w.End, true
		out = append(out, *f)
	}
	sort.Slice(out, func(i, j int) bool {
		if !out[i].Fired.Equal(out[j].Fired) {
			return out[i].Fired.Before(out[j].Fired)
		}
		return labels.Compare(out[i].Labels, out[j].Labels) < 0
	})
	return out, nil
}

// take returns the vector at a moment; at remembers where each series stands.
func take(m promql.Matrix, at []int, ms int64) (out promql.Vector) {
	for i := range m {
		points := m[i].Floats
		for at[i] < len(points) && points[at[i]].T < ms {
			at[i]++
		}
		if at[i] < len(points) && points[at[i]].T == ms {
			out = append(out, promql.Sample{T: ms, F: points[at[i]].F, Metric: m[i].Metric})
		}
	}
	return out
}

// observe notes what began and ended at a moment.
func observe(out []Firing, open map[uint64]*Firing, ar *rules.AlertingRule, ts time.Time) []Firing {
	seen := map[uint64]bool{}
	ar.ForEachActiveAlert(func(a *rules.Alert) {
		if a.State != rules.StateFiring {
			return
		}
		h := a.Labels.Hash()
		seen[h] = true
		f := open[h]
		if f == nil {
			f = &Firing{Labels: a.Labels, Pending: a.ActiveAt, Fired: a.FiredAt, Peak: a.Value}
			open[h] = f
		}
		f.Peak = math.Max(f.Peak, a.Value)
	})
	for h, f := range open {
		if !seen[h] {
			f.End = ts
			out = append(out, *f)
			delete(open, h)
		}
	}
	return out
}
