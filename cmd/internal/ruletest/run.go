package ruletest

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	"braid/cmd/internal/app"
	"braid/pkg/query"
	"braid/pkg/query/logql"
	braidpromql "braid/pkg/query/promql"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// Failure is what differs from what a test expects.
type Failure struct {
	Test, What, Want, Got string
}

// Error says it in words.
func (f Failure) Error() string {
	return fmt.Sprintf("%s: %s\n  want: %s\n  got:  %s", f.Test, f.What, f.Want, f.Got)
}

// Run runs the tests of a file whose name match accepts and returns what
// differs. An error means that a test could not be run.
func (f *File) Run(ctx context.Context, p parser.Parser, match func(name string) bool) (failures []Failure, err error) {
	for i := range f.Tests {
		t := &f.Tests[i]
		if match != nil && !match(t.Name) {
			continue
		}
		found, err := f.run(ctx, p, t)
		if err != nil {
			return failures, fmt.Errorf("%s: %w", t.Name, err)
		}
		failures = append(failures, found...)
	}
	return failures, nil
}

// stored makes the test's storage a metric source. Exemplars and metadata are
// not asked for.
type stored struct {
	query.MetricSource
	storage.Storage
}

// Queryable implements query.MetricSource.
func (s stored) Queryable(tenant.ID) storage.SampleAndChunkQueryable { return s.Storage }

// bench is one test being run.
type bench struct {
	t      *Test
	suite  *promqltest.LazyLoader
	data   storage.Queryable
	groups []*rules.Group
	parser parser.Parser
	fuzzy  bool
	found  []Failure
}

func (f *File) run(ctx context.Context, p parser.Parser, t *Test) (_ []Failure, err error) {
	suite, err := promqltest.NewLazyLoader(t.load(), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true, StartTime: t.StartTimestamp.Time})
	if err != nil {
		return nil, fmt.Errorf("input_series: %w", err)
	}
	defer func() {
		if cerr := suite.Close(); err == nil {
			err = cerr
		}
	}()
	suite.SubqueryInterval = time.Duration(f.EvaluationInterval)
	logs, err := t.logs()
	if err != nil {
		return nil, err
	}
	spans, err := t.spans()
	if err != nil {
		return nil, err
	}
	source := &braidpromql.Federated{MetricSource: stored{Storage: suite.Storage()}, LogQL: app.LogQLSeries(logql.NewEngine(logql.Options{Source: logs})),
		TraceQL: app.TraceQLSeries(traceql.NewEngine(traceql.Options{Source: spans}))}
	b := &bench{t: t, suite: suite, data: source.Queryable(tenant.Default), parser: p, fuzzy: f.FuzzyCompare}
	if err := b.load(f); err != nil {
		return nil, err
	}
	if err := b.evaluate(ctx, time.Duration(f.EvaluationInterval)); err != nil {
		return nil, err
	}
	return b.found, b.expressions(ctx)
}

// load writes the series in the words of Prometheus's test language.
func (t *Test) load() string {
	var out strings.Builder
	fmt.Fprintf(&out, "load %ds\n", int64(time.Duration(t.Interval).Seconds()))
	for _, s := range t.InputSeries {
		fmt.Fprintf(&out, "  %s %s\n", s.Series, s.Values)
	}
	return out.String()
}

// load reads the rule files.
func (b *bench) load(f *File) error {
	m := rules.NewManager(&rules.ManagerOptions{QueryFunc: rules.EngineQueryFunc(b.suite.QueryEngine(), b.data), Appendable: b.suite.Storage(),
		Queryable: b.data, Context: context.Background(), NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		Logger: slog.New(slog.DiscardHandler), Parser: b.parser})
	byName, errs := m.LoadGroups(time.Duration(b.t.Interval), labels.FromMap(b.t.ExternalLabels), b.t.ExternalURL, nil, false, f.RuleFiles...)
	if len(errs) > 0 {
		return errs[0]
	}
	order := map[string]int{}
	for i, n := range f.GroupEvalOrder {
		order[n] = i + 1
	}
	for _, g := range byName {
		b.groups = append(b.groups, g)
		for _, r := range g.Rules() {
			if a, ok := r.(*rules.AlertingRule); ok {
				a.SetRestored(true) // or ALERTS would not be written
			}
		}
	}
	sort.Slice(b.groups, func(i, j int) bool {
		x, y := b.groups[i], b.groups[j]
		if order[x.Name()] != order[y.Name()] {
			return order[x.Name()] < order[y.Name()]
		}
		return rules.GroupKey(x.File(), x.Name()) < rules.GroupKey(y.File(), y.Name())
	})
	return nil
}

// maxEvaluations bounds a test.
const maxEvaluations = 200_000

// evaluate moves the clock to the last expectation, and compares the alerts of
// each moment that one is for.
func (b *bench) evaluate(ctx context.Context, interval time.Duration) error {
	tests := slices.Clone(b.t.AlertRuleTests)
	sort.SliceStable(tests, func(i, j int) bool { return tests[i].EvalTime < tests[j].EvalTime })
	var last time.Duration
	for _, x := range tests {
		last = max(last, time.Duration(x.EvalTime))
	}
	for _, x := range b.t.PromqlExprTests {
		last = max(last, time.Duration(x.EvalTime))
	}
	if last/interval > maxEvaluations {
		return fmt.Errorf("eval_time %s is more than %d intervals away", last, maxEvaluations)
	}
	for at := time.Duration(0); at <= last; at += interval {
		if err := ctx.Err(); err != nil {
			return err
		}
		ts := b.t.StartTimestamp.Add(at)
		var err error
		b.suite.WithSamplesTill(ts, func(e error) { err = e })
		if err != nil {
			return fmt.Errorf("input_series: %w", err)
		}
		for _, g := range b.groups {
			g.Eval(b.suite.Context(), ts)
			for _, r := range g.Rules() {
				if err := r.LastError(); err != nil {
					return fmt.Errorf("rule %q at %s: %w", r.Name(), at, err)
				}
			}
		}
		for len(tests) > 0 && time.Duration(tests[0].EvalTime) < at+interval {
			if err := b.compareAlerts(&tests[0]); err != nil {
				return err
			}
			tests = tests[1:]
		}
	}
	return nil
}

func (b *bench) compareAlerts(x *alertTest) error {
	if x.Alertname == "" {
		return fmt.Errorf("alert_rule_test at %s names no alertname", x.EvalTime)
	}
	var got, want []string
	for _, g := range b.groups {
		for _, r := range g.Rules() {
			a, ok := r.(*rules.AlertingRule)
			if !ok || a.Name() != x.Alertname {
				continue
			}
			for _, one := range a.ActiveAlerts() {
				if one.State == rules.StateFiring {
					got = append(got, one.Labels.String()+" annotations "+one.Annotations.String())
				}
			}
		}
	}
	for _, e := range x.ExpAlerts {
		ls := map[string]string{labels.AlertName: x.Alertname}
		for k, v := range e.ExpLabels {
			ls[k] = v
		}
		want = append(want, labels.FromMap(ls).String()+" annotations "+labels.FromMap(e.ExpAnnotations).String())
	}
	sort.Strings(got)
	sort.Strings(want)
	if !slices.Equal(got, want) {
		b.found = append(b.found, Failure{b.t.Name, fmt.Sprintf("alert %s at %s", x.Alertname, x.EvalTime), draw(want), draw(got)})
	}
	return nil
}

func draw(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, "\n        ")
}

// expressions compares the results of expressions.
func (b *bench) expressions(ctx context.Context) error {
	run := rules.EngineQueryFunc(b.suite.QueryEngine(), b.data)
	for _, x := range b.t.PromqlExprTests {
		vector, err := run(ctx, x.Expr, b.t.StartTimestamp.Add(time.Duration(x.EvalTime)))
		if err != nil {
			return fmt.Errorf("expr %q at %s: %w", x.Expr, x.EvalTime, err)
		}
		want, err := b.expected(&x)
		if err != nil {
			return fmt.Errorf("expr %q at %s: %w", x.Expr, x.EvalTime, err)
		}
		got := slices.Clone(vector)
		byLabels := func(v promql.Vector) {
			sort.Slice(v, func(i, j int) bool { return labels.Compare(v[i].Metric, v[j].Metric) < 0 })
		}
		byLabels(got)
		byLabels(want)
		if !slices.EqualFunc(got, want, b.equal) {
			b.found = append(b.found, Failure{b.t.Name, fmt.Sprintf("expr %s at %s", x.Expr, x.EvalTime), drawVector(want), drawVector(got)})
		}
	}
	return nil
}

func (b *bench) expected(x *exprTest) (out promql.Vector, err error) {
	for _, e := range x.ExpSamples {
		s := promql.Sample{F: e.Value}
		if s.Metric, err = b.parser.ParseMetric(e.Labels); err != nil {
			return nil, fmt.Errorf("labels %q: %w", e.Labels, err)
		}
		if e.Histogram != "" {
			_, values, err := b.parser.ParseSeriesDesc("{} " + e.Histogram)
			if err != nil || len(values) != 1 || values[0].Histogram == nil {
				return nil, fmt.Errorf("histogram %q is not one histogram", e.Histogram)
			}
			s.F, s.H = 0, values[0].Histogram
		}
		out = append(out, s)
	}
	return out, nil
}

func (b *bench) equal(x, y promql.Sample) bool {
	if !labels.Equal(x.Metric, y.Metric) || (x.H == nil) != (y.H == nil) {
		return false
	}
	if x.H != nil {
		return compact(x.H) == compact(y.H)
	}
	if x.F == y.F || math.IsNaN(x.F) && math.IsNaN(y.F) {
		return true
	}
	return b.fuzzy && (math.Nextafter(x.F, math.Inf(1)) == y.F || math.Nextafter(x.F, math.Inf(-1)) == y.F)
}

func compact(h *histogram.FloatHistogram) string { return h.Copy().Compact(0).TestExpression() }

func drawVector(v promql.Vector) string {
	var out []string
	for _, s := range v {
		value := fmt.Sprint(s.F)
		if s.H != nil {
			value = compact(s.H)
		}
		out = append(out, s.Metric.String()+" "+value)
	}
	return draw(out)
}
