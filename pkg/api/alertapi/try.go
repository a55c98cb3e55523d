package alertapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"braid/pkg/alert/rule"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Bounds of a trial.
const (
	maxTrialRange       = 31 * 24 * time.Hour
	maxTrialEvaluations = 50_000
	maxTrialTimes       = 2_000
)

// Trier answers what a rule that does not exist yet would have asked.
type Trier struct {
	Parser parser.Parser
	// Virtual checks the query of a virtual selector.
	Virtual func(language, expr string) error
	// Ask evaluates a PromQL expression, perhaps with virtual selectors.
	Ask func(ctx context.Context, t tenant.ID, expr string, start, end time.Time, step time.Duration) (promql.Matrix, error)
	// Begin takes a place among the tenant's queries.
	Begin func(ctx context.Context, t tenant.ID, language, text string) (context.Context, func(*model.QueryStats, error), error)
	// Interval is that of groups that name none.
	Interval func() time.Duration
	Now      func() time.Time
}

// trialRequest is a rule to try.
type trialRequest struct {
	Language  string   `json:"language"` // promql, logql, traceql
	Expr      string   `json:"expr"`
	Op        string   `json:"op"`
	Threshold *float64 `json:"threshold"`
	For       string   `json:"for"`
	Keep      string   `json:"keepFiringFor"`
	Interval  string   `json:"interval"`
	Start     any      `json:"start"`
	End       any      `json:"end"`
}

// trialSeries are the times of one alert.
type trialSeries struct {
	Labels         map[string]string `json:"labels"`
	Firings        int               `json:"firings"`
	PendingOnly    int               `json:"pendingOnly"`
	FiringSeconds  float64           `json:"firingSeconds"`
	PendingSeconds float64           `json:"pendingSeconds"`
	Times          []trialTime       `json:"times"`
}

// trialTime is one time that an alert would have been there. Times are Unix
// milliseconds; firedMs is missing when it was pending only.
type trialTime struct {
	PendingMs int64  `json:"pendingMs"`
	FiredMs   *int64 `json:"firedMs,omitempty"`
	EndMs     int64  `json:"endMs"`
	Open      bool   `json:"open,omitempty"` // had not ended at the end of the range
	// Peak is the largest value; missing when it is no number.
	Peak *float64 `json:"peak,omitempty"`
}

type trialAnswer struct {
	Expr           string         `json:"expr"` // as a rule has it
	Language       string         `json:"language"`
	StartMs        int64          `json:"startMs"`
	EndMs          int64          `json:"endMs"`
	IntervalMs     int64          `json:"intervalMs"`
	Evaluations    int            `json:"evaluations"`
	Firings        int            `json:"firings"`
	PendingOnly    int            `json:"pendingOnly"`
	FiringSeconds  float64        `json:"firingSeconds"`
	PendingSeconds float64        `json:"pendingSeconds"`
	Series         []*trialSeries `json:"series"`
	// Truncated: there were more times; the later ones are left out.
	Truncated bool `json:"truncated"`
}

var trialOps = map[string]bool{">": true, ">=": true, "<": true, "<=": true, "==": true, "!=": true}

// try says when a rule would have been pending and firing.
func (a *API) try(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	var q trialRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return invalid("cannot read the body as JSON with the fields language, expr, op, threshold, for, keepFiringFor, interval, start, end: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("the body holds more than one rule")
	}
	re, window, err := a.o.Try.read(&q)
	if err != nil {
		return err
	}
	ctx, done, err := a.o.Try.Begin(r.Context(), t, "alert", re.Expr)
	if err != nil {
		return err
	}
	trial, err := rule.Try(ctx, a.o.Try.Parser, re, window, maxTrialTimes, func(ctx context.Context, expr string, start, end time.Time, step time.Duration) (promql.Matrix, error) {
		return a.o.Try.Ask(ctx, t, expr, start, end, step)
	})
	done(nil, err)
	if err != nil {
		return trialError(r.Context(), ctx, err)
	}
	out := trialAnswer{Expr: re.Expr, Language: q.Language, StartMs: window.Start.UnixMilli(), EndMs: window.End.UnixMilli(), IntervalMs: window.Interval.Milliseconds(),
		Evaluations: trial.Evaluations, Truncated: trial.More, Series: []*trialSeries{}}
	out.add(trial.Times)
	writeJSON(w, http.StatusOK, out)
	return nil
}

// trialError tells apart what is the question's fault.
func trialError(caller, guarded context.Context, err error) error {
	var tooMany promql.ErrTooManySamples
	switch {
	case caller.Err() != nil:
		return err
	case errors.As(err, &tooMany):
		return invalid("%v: ask for a shorter range or a longer interval, or aggregate", err)
	case guarded.Err() != nil:
		return invalid("the trial took too long: ask for a shorter range or a longer interval (%v)", err)
	}
	var storage promql.ErrStorage
	if errors.As(err, &storage) {
		return err
	}
	return invalid("the expression cannot be evaluated: %v", err)
}

// read checks a question and makes the rule that it asks for.
func (x *Trier) read(q *trialRequest) (r rulefmt.Rule, w rule.Window, err error) {
	if q.Language == "" {
		q.Language = "promql"
	}
	if q.Expr == "" {
		return r, w, invalid("expr is empty: give the expression to try")
	}
	r = rulefmt.Rule{Alert: "Trial", Expr: q.Expr}
	switch q.Language {
	case "promql":
	case "logql", "traceql":
		if err := x.Virtual(q.Language, q.Expr); err != nil {
			return r, w, invalid("expr: %v", err)
		}
		r.Expr = fmt.Sprintf("{__%s__=%q}", q.Language, q.Expr)
	default:
		return r, w, invalid("language %q: give promql, logql or traceql", q.Language)
	}
	e, err := x.Parser.ParseExpr(r.Expr)
	if err != nil {
		return r, w, invalid("expr: %v", err)
	}
	if kind := e.Type(); kind != parser.ValueTypeVector && kind != parser.ValueTypeScalar {
		return r, w, invalid("expr yields a %s: a rule needs one value a series at a time", parser.DocumentedType(kind))
	}
	if q.Threshold != nil {
		if q.Op == "" {
			q.Op = ">"
		}
		if !trialOps[q.Op] {
			return r, w, invalid("op %q: give >, >=, <, <=, == or !=", q.Op)
		}
		if e.Type() == parser.ValueTypeScalar {
			return r, w, invalid("expr yields a scalar, which cannot be compared in a rule: write vector(…)")
		}
		left := r.Expr
		if _, binary := e.(*parser.BinaryExpr); binary {
			left = "(" + left + ")"
		}
		r.Expr = left + " " + q.Op + " " + strconv.FormatFloat(*q.Threshold, 'g', -1, 64)
		if _, err = x.Parser.ParseExpr(r.Expr); err != nil {
			return r, w, invalid("expr with threshold: %v", err)
		}
	} else if q.Op != "" {
		return r, w, invalid("op without threshold: give both, or compare in expr")
	}
	if q.Language == "promql" {
		if err := rule.CheckVirtual(x.Parser, r.Expr, x.Virtual); err != nil {
			return r, w, invalid("expr: %v", err)
		}
	}
	if r.For, err = duration("for", q.For, 0); err != nil {
		return r, w, err
	}
	if r.KeepFiringFor, err = duration("keepFiringFor", q.Keep, 0); err != nil {
		return r, w, err
	}
	interval, err := duration("interval", q.Interval, x.Interval())
	if err != nil {
		return r, w, err
	}
	w.Interval = time.Duration(interval)
	if w.End, err = moment("end", q.End, x.Now()); err != nil {
		return r, w, err
	}
	if w.Start, err = moment("start", q.Start, w.End.Add(-24*time.Hour)); err != nil {
		return r, w, err
	}
	switch length := w.End.Sub(w.Start); {
	case length <= 0:
		return r, w, invalid("start is not before end")
	case length > maxTrialRange:
		return r, w, invalid("the range from start to end is %s: at most %s", length, maxTrialRange)
	case w.Interval < time.Second:
		return r, w, invalid("interval %s: at least 1s", w.Interval)
	case length/w.Interval >= maxTrialEvaluations:
		return r, w, invalid("%d evaluations: at most %d; give a longer interval or a shorter range", length/w.Interval, maxTrialEvaluations)
	}
	return r, w, nil
}

func duration(name, text string, otherwise time.Duration) (commonmodel.Duration, error) {
	if text == "" {
		return commonmodel.Duration(otherwise), nil
	}
	d, err := commonmodel.ParseDuration(text)
	if err != nil {
		return 0, invalid("%s %q: give a duration such as 5m", name, text)
	}
	return d, nil
}

// moment reads RFC 3339, or Unix seconds as a number or a text.
func moment(name string, v any, otherwise time.Time) (time.Time, error) {
	switch x := v.(type) {
	case nil:
		return otherwise, nil
	case string:
		if t, err := time.Parse(time.RFC3339Nano, x); err == nil {
			return t, nil
		}
		if s, err := strconv.ParseFloat(x, 64); err == nil {
			return moment(name, s, otherwise)
		}
	case float64:
		if x >= 0 && x < 1e11 {
			return time.UnixMilli(int64(x * 1000)), nil
		}
	}
	return time.Time{}, invalid("%s %v: give a time as 2006-01-02T15:04:05Z or in Unix seconds", name, v)
}

// add groups times by alert, in the order of their first.
func (out *trialAnswer) add(times []rule.Firing) {
	by := map[uint64]*trialSeries{}
	for _, f := range times {
		h := f.Labels.Hash()
		s := by[h]
		if s == nil {
			s = &trialSeries{Labels: f.Labels.Map()}
			delete(s.Labels, labels.AlertName)
			by[h] = s
			out.Series = append(out.Series, s)
		}
		x := trialTime{PendingMs: f.Pending.UnixMilli(), EndMs: f.End.UnixMilli(), Open: f.Open}
		if !math.IsNaN(f.Peak) && !math.IsInf(f.Peak, 0) {
			x.Peak = &f.Peak
		}
		pending := f.End.Sub(f.Pending)
		if f.Fired.IsZero() {
			s.PendingOnly++
		} else {
			ms := f.Fired.UnixMilli()
			x.FiredMs = &ms
			pending = f.Fired.Sub(f.Pending)
			s.Firings++
			s.FiringSeconds += f.End.Sub(f.Fired).Seconds()
		}
		s.PendingSeconds += pending.Seconds()
		s.Times = append(s.Times, x)
	}
	for _, s := range out.Series {
		out.Firings += s.Firings
		out.PendingOnly += s.PendingOnly
		out.FiringSeconds += s.FiringSeconds
		out.PendingSeconds += s.PendingSeconds
	}
}
