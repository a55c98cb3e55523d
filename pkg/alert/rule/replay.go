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
// ended at the window's end. Fired is zero when it was pending and did not fire.
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
	var out []Firing
	err := replay(ctx, p, r, groupLabels, w, ask, func(f *Firing) bool {
		if !f.Fired.IsZero() {
			out = append(out, *f)
		}
		return true
	})
	sortFirings(out)
	return out, err
}

// Trial is what Try found out. More: there were more times than were asked for;
// the latest are left out.
type Trial struct {
	Evaluations int
	Times       []Firing // those that did not fire included
	More        bool
}

// Try is Replay for somebody who waits: it also tells when an alert would have
// been pending only, and ends at a number of times.
func Try(ctx context.Context, p parser.Parser, r rulefmt.Rule, w Window, most int, ask RangeFunc) (*Trial, error) {
	t := &Trial{}
	counted := func(ctx context.Context, expr string, start, end time.Time, step time.Duration) (promql.Matrix, error) {
		t.Evaluations += int(end.Sub(start)/step) + 1
		return ask(ctx, expr, start, end, step)
	}
	err := replay(ctx, p, r, nil, w, counted, func(f *Firing) bool {
		if len(t.Times) >= most {
			t.More = true
			return false
		}
		t.Times = append(t.Times, *f)
		return true
	})
	sortFirings(t.Times)
	return t, err
}

func sortFirings(list []Firing) {
	sort.Slice(list, func(i, j int) bool {
		if !list[i].Pending.Equal(list[j].Pending) {
			return list[i].Pending.Before(list[j].Pending)
		}
		return labels.Compare(list[i].Labels, list[j].Labels) < 0
	})
}

// replay evaluates a rule over a window and yields each time that an alert was
// there, when it has ended, until yield wants no more.
func replay(ctx context.Context, p parser.Parser, r rulefmt.Rule, groupLabels map[string]string, w Window, ask RangeFunc, yield func(*Firing) bool) error {
	if w.Interval < time.Second || w.End.Before(w.Start) {
		return fmt.Errorf("cannot replay from %s to %s every %s", w.Start, w.End, w.Interval)
	}
	expr, err := p.ParseExpr(r.Expr)
	if err != nil {
		return fmt.Errorf("expr: %w", err)
	}
	ar := rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor), rules.FromMaps(groupLabels, r.Labels),
		labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	open := map[uint64]*Firing{}
	// On the interval's own grid, as the server evaluates.
	for from := w.Start.Truncate(w.Interval); !from.After(w.End); from = from.Add(replaySteps * w.Interval) {
		to := from.Add((replaySteps - 1) * w.Interval)
		if to.After(w.End) {
			to = w.End
		}
		m, err := ask(ctx, expr.String(), from, to, w.Interval)
		if err != nil {
			return err
		}
		at := make([]int, len(m))
		for ts := from; !ts.After(to); ts = ts.Add(w.Interval) {
			if err := ctx.Err(); err != nil {
				return err
			}
			vector := take(m, at, ts.UnixMilli())
			query := func(_ context.Context, text string, _ time.Time) (promql.Vector, error) {
				if text == expr.String() {
					return vector, nil
				}
				return nil, nil
			}
			if _, err := ar.Eval(ctx, 0, ts, query, &url.URL{}, 0); err != nil {
				return fmt.Errorf("at %s: %w", ts.UTC().Format(time.RFC3339), err)
			}
			if !observe(yield, open, ar, ts) {
				return nil
			}
		}
	}
	rest := make([]Firing, 0, len(open))
	for _, f := range open {
		f.End, f.Open = w.End, true
		rest = append(rest, *f)
	}
	sortFirings(rest) // which of them are left out must not be left to chance
	for i := range rest {
		if !yield(&rest[i]) {
			return nil
		}
	}
	return nil
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

// observe notes what began and yields what ended at a moment; false means that no
// more is wanted.
func observe(yield func(*Firing) bool, open map[uint64]*Firing, ar *rules.AlertingRule, ts time.Time) bool {
	seen := map[uint64]bool{}
	var ended []Firing
	ar.ForEachActiveAlert(func(a *rules.Alert) {
		if a.State == rules.StateInactive {
			return
		}
		h := a.Labels.Hash()
		seen[h] = true
		f := open[h]
		if f != nil && !f.Pending.Equal(a.ActiveAt) { // ended and began again
			f.End = ts
			ended = append(ended, *f)
			f = nil
		}
		if f == nil {
			f = &Firing{Labels: a.Labels, Pending: a.ActiveAt, Peak: a.Value}
			open[h] = f
		}
		if a.State == rules.StateFiring {
			f.Fired = a.FiredAt
		}
		f.Peak = math.Max(f.Peak, a.Value)
	})
	for h, f := range open {
		if !seen[h] {
			f.End = ts
			ended = append(ended, *f)
			delete(open, h)
		}
	}
	sortFirings(ended)
	for i := range ended {
		if !yield(&ended[i]) {
			return false
		}
	}
	return true
}
