package rules

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promrules "github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/require"

	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

const (
	groups        = 100
	rulesOfGroup  = 100
	seriesOfRule  = 10
	samplesOfEach = 20 // 15 s apart: five minutes
)

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTenThousandRules evaluates 10,000 rules once an iteration, one in a
// hundred of them firing, over 100,000 series, and reports CPU seconds a round
// and the wall time of a round: with an evaluation a minute, that is the share
// of a minute that is used.
func BenchmarkTenThousandRules(b *testing.B) {
	ctx := context.Background()
	store, err := tsdb.Open(tsdb.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, store.Close()) }()
	now := time.Now().Truncate(time.Second)
	for r := range groups * rulesOfGroup {
		app := store.Appendable(tenant.Default).Appender(ctx)
		for s := range seriesOfRule {
			ls := labels.FromStrings("__name__", "requests_total", "service", fmt.Sprint("s", r), "instance", fmt.Sprint(s), "job", "bench")
			for i := range samplesOfEach {
				_, err := app.Append(0, ls, now.Add(time.Duration(i-samplesOfEach)*15*time.Second).UnixMilli(), float64(i*(1+r%100)))
				require.NoError(b, err)
			}
		}
		require.NoError(b, app.Commit())
	}
	dir := b.TempDir()
	var files []string
	for g := range groups {
		text := fmt.Sprintf("groups:\n- name: g%d\n  interval: 1m\n  rules:\n", g)
		for r := range rulesOfGroup {
			text += fmt.Sprintf("  - {alert: A%d, expr: 'sum by (service) (rate(requests_total{service=\"s%d\"}[5m])) > 65', labels: {severity: page}, annotations: {summary: '{{ $labels.service }} {{ $value }}'}}\n", r, g*rulesOfGroup+r)
		}
		path := filepath.Join(dir, fmt.Sprintf("g%d.yml", g))
		require.NoError(b, os.WriteFile(path, []byte(text), 0o600))
		files = append(files, path)
	}
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, Parser: p})
	defer func() { require.NoError(b, engine.Close()) }()
	fired := 0
	q := store.Queryable(tenant.Default)
	m := promrules.NewManager(&promrules.ManagerOptions{Context: ctx, QueryFunc: promrules.EngineQueryFunc(engine, q), Queryable: q,
		Appendable: store.Appendable(tenant.Default), Logger: slog.New(slog.DiscardHandler), Parser: p, ResendDelay: time.Minute,
		NotifyFunc: func(_ context.Context, _ string, list ...*promrules.Alert) { fired += len(list) }})
	loaded, errs := m.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, files...)
	require.Empty(b, errs)
	b.ResetTimer()
	used := cpu()
	at := now
	for b.Loop() {
		at = at.Add(time.Second)
		for _, g := range loaded {
			g.Eval(ctx, at)
		}
	}
	used = cpu() - used
	require.NotZero(b, fired)
	b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/round")
	b.ReportMetric(float64(groups*rulesOfGroup*b.N)/b.Elapsed().Seconds(), "rules/s")
}
