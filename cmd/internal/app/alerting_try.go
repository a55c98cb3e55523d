package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"

	"braid/pkg/api/alertapi"
	"braid/pkg/tenant"
)

// trier answers when a rule that does not exist yet would have fired.
func (al *alerting) trier() *alertapi.Trier {
	a := al.a
	return &alertapi.Trier{Parser: a.engines.parser, Virtual: checkVirtual, Ask: a.course, Begin: a.guard.Begin,
		Interval: func() time.Duration { return a.cfg.Load().Alerting.Interval.Std() }, Now: time.Now}
}

// course evaluates a PromQL expression over a range.
func (a *App) course(ctx context.Context, t tenant.ID, expr string, start, end time.Time, step time.Duration) (promql.Matrix, error) {
	q, err := a.engines.promql.NewRangeQuery(ctx, a.engines.metrics.Queryable(t), nil, expr, start, end, step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, res.Err
	}
	m, ok := res.Value.(promql.Matrix)
	if !ok {
		return nil, fmt.Errorf("the expression yields a %s", res.Value.Type())
	}
	out := make(promql.Matrix, 0, len(m)) // the query takes its memory back
	for _, s := range m {
		out = append(out, promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats)})
	}
	return out, nil
}
