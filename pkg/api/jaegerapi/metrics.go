package jaegerapi

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// metricFamily is what the Monitor tab reads.
type metricFamily struct {
	Name    string         `json:"name"`
	Type    string         `json:"type"`
	Help    string         `json:"help"`
	Metrics []monitorLines `json:"metrics"`
}

type monitorLines struct {
	Labels []monitorLabel `json:"labels"`
	Points []monitorPoint `json:"metricPoints"`
}

type monitorLabel struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type monitorPoint struct {
	Gauge     monitorGauge `json:"gaugeValue"`
	Timestamp string       `json:"timestamp"`
}

type monitorGauge struct {
	Double float64 `json:"doubleValue"`
}

// minStepMillis is the narrowest step of the Monitor tab.
const minStepMillis = 1000

func (a *API) minStep(*http.Request, tenant.ID) (any, error) { return minStepMillis, nil }

// maxSteps bounds the points of one line.
const maxSteps = 11_000

// monitorQuestion is a request of the Monitor tab.
type monitorQuestion struct {
	services  []string
	kinds     []string
	byName    bool
	quantile  float64
	step      int64 // ns
	rng       model.TimeRange
	tenant    tenant.ID
	wantError bool
}

// metrics answers latencies, calls and errors from the spans themselves: a
// point at T tells of the spans that start in the step before T.
func (a *API) metrics(r *http.Request, t tenant.ID) (_ any, err error) {
	kind := r.PathValue("kind")
	q, err := a.monitorQuestion(r, t, kind)
	if err != nil {
		return nil, err
	}
	ctx, done, err := a.begin(r.Context(), t, kind+" of "+strings.Join(q.services, ", "))
	if err != nil {
		return nil, err
	}
	defer func() { done(nil, err) }()
	all, err := a.opts.Source.AggregateSpans(ctx, q.aggregation(kind == "latencies"))
	if err != nil {
		return nil, fmt.Errorf("cannot aggregate spans: %w", err)
	}
	prefix, word := "service_", "service"
	if q.byName {
		prefix, word = "service_operation_", "service & operation"
	}
	out := metricFamily{Type: "GAUGE"}
	switch kind {
	case "latencies":
		out.Name, out.Help = prefix+"latencies", fmt.Sprintf("%.2fth quantile latency, grouped by %s", q.quantile, word)
		out.Metrics = q.lines(all, func(_, _ int, c *model.Cell) float64 {
			return math.Min(math.Max(c.Sketch.Quantile(q.quantile), c.Min), c.Max) / 1e6
		})
	case "calls":
		out.Name, out.Help = prefix+"call_rate", "calls/sec, grouped by "+word
		out.Metrics = q.lines(all, func(_, _ int, c *model.Cell) float64 { return float64(c.Count) / (float64(q.step) / 1e9) })
	case "errors":
		q.wantError = true
		failed, err := a.opts.Source.AggregateSpans(ctx, q.aggregation(false))
		if err != nil {
			return nil, fmt.Errorf("cannot aggregate spans: %w", err)
		}
		out.Name, out.Help = prefix+"error_rate", "error rate, computed as a fraction of errors/sec over calls/sec, grouped by "+word
		out.Metrics = q.lines(all, errorShare(all, failed))
	}
	return out, nil
}

func (a *API) monitorQuestion(r *http.Request, t tenant.ID, kind string) (q *monitorQuestion, err error) {
	v := r.URL.Query()
	q = &monitorQuestion{services: v["service"], byName: v.Get("groupByOperation") == "true", tenant: t}
	switch kind {
	case "latencies":
		q.quantile, err = strconv.ParseFloat(v.Get("quantile"), 64)
		if err != nil || q.quantile < 0 || q.quantile > 1 {
			return nil, invalid("unable to parse param 'quantile': expected a number between 0 and 1, got %q", v.Get("quantile"))
		}
	case "calls", "errors":
	default:
		return nil, fmt.Errorf("metrics %q: %w", kind, model.ErrNotFound)
	}
	if len(q.services) == 0 {
		return nil, invalid("please provide at least one service name")
	}
	if q.rng, err = a.milliRange(r, 3600*1000); err != nil {
		return nil, err
	}
	if q.step, err = parseStepMillis(v); err != nil {
		return nil, err
	}
	q.rng.Start -= q.rng.Start % q.step
	q.rng.End = q.rng.Start + (q.rng.End-q.rng.Start+q.step-1)/q.step*q.step
	if n := (q.rng.End - q.rng.Start) / q.step; n > maxSteps {
		return nil, fmt.Errorf("%w: %d points a line are asked for, at most %d are allowed: widen the step", model.ErrTooMuch, n, maxSteps)
	}
	q.kinds = []string{"server"}
	if given := v["spanKind"]; len(given) > 0 {
		q.kinds = nil
		for _, k := range given {
			q.kinds = append(q.kinds, strings.TrimPrefix(strings.ToLower(k), "span_kind_"))
		}
	}
	return q, nil
}

func parseStepMillis(v url.Values) (int64, error) {
	s := v.Get("step")
	if s == "" {
		return 5 * int64(time.Second), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/1_000_000_000 {
		return 0, invalid("unable to parse param 'step': expected milliseconds, got %q", s)
	}
	return max(n, minStepMillis) * int64(time.Millisecond), nil
}

func (q *monitorQuestion) aggregation(quantiles bool) *predicate.Aggregation {
	var services, kinds predicate.Or
	for _, s := range q.services {
		services = append(services, serviceIs(s))
	}
	for _, k := range q.kinds {
		kinds = append(kinds, predicate.Compare{Field: predicate.Intrinsic(predicate.Kind), Value: model.String(k)})
	}
	parts := []predicate.Expr{services, kinds}
	if q.wantError {
		parts = append(parts, predicate.Compare{Field: predicate.Intrinsic(predicate.Status), Value: model.String("error")})
	}
	agg := &predicate.Aggregation{Tenant: q.tenant, Range: q.rng, Filter: predicate.AllOf(parts...), Step: q.step, By: []predicate.Field{serviceField}, MaxGroups: 1000}
	if q.byName {
		agg.By = append(agg.By, predicate.Intrinsic(predicate.Name))
	}
	if quantiles {
		agg.Measure, agg.Of = predicate.Quantiles, predicate.Intrinsic(predicate.Duration)
	}
	return agg
}

// lines draws the groups; steps without spans have no point.
func (q *monitorQuestion) lines(agg *model.Aggregate, value func(group, bucket int, c *model.Cell) float64) []monitorLines {
	out := []monitorLines{}
	for g := range agg.Groups {
		l := monitorLines{Labels: []monitorLabel{}, Points: []monitorPoint{}}
		if q.byName {
			l.Labels = append(l.Labels, monitorLabel{"operation", agg.Groups[g].Key[1].Text()})
		}
		service := agg.Groups[g].Key[0].Text()
		if service == "" {
			service = unknownService
		}
		l.Labels = append(l.Labels, monitorLabel{"service_name", service})
		for b := range agg.Groups[g].Cells {
			c := &agg.Groups[g].Cells[b]
			if c.Count == 0 {
				continue
			}
			v := value(g, b, c)
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			at := time.Unix(0, agg.Start+int64(b+1)*q.step).UTC()
			l.Points = append(l.Points, monitorPoint{monitorGauge{v}, at.Format(time.RFC3339Nano)})
		}
		out = append(out, l)
	}
	sort.Slice(out, func(i, j int) bool { return fmt.Sprint(out[i].Labels) < fmt.Sprint(out[j].Labels) })
	return out
}

// errorShare divides the counts of failed spans by those of all.
func errorShare(all, failed *model.Aggregate) func(int, int, *model.Cell) float64 {
	byKey := map[string][]model.Cell{}
	for _, g := range failed.Groups {
		byKey[fmt.Sprint(g.Key)] = g.Cells
	}
	return func(group, bucket int, c *model.Cell) float64 {
		cells := byKey[fmt.Sprint(all.Groups[group].Key)]
		if bucket >= len(cells) {
			return 0
		}
		return float64(cells[bucket].Count) / float64(c.Count)
	}
}
