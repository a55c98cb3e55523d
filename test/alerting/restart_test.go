package alerting

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"braid/pkg/alert/rule"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

const text = `groups:
- name: g
  interval: 1s
  rules:
  - alert: Always
    expr: vector(1)
    for: 4s
    labels: {severity: page}
`

type process struct {
	store  *tsdb.Store
	rules  *rule.Manager
	engine *promql.Engine
	told   chan rules.Alert
}

func begin(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{told: make(chan rules.Alert, 1000)}
	var err error
	p.store, err = tsdb.Open(tsdb.Options{Dir: filepath.Join(dir, "metrics")})
	require.NoError(t, err)
	p.engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	var q storage.Queryable = p.store.Queryable(tenant.Default)
	p.rules = rule.New(context.Background(), rule.Options{Files: []string{filepath.Join(dir, "rules.yml")}, Parser: parser.NewParser(parser.Options{}),
		Query: rules.EngineQueryFunc(p.engine, q), Queryable: q, Appendable: p.store.Appendable(tenant.Default),
		Notify: func(_ context.Context, _ string, _ rule.About, list []*rules.Alert) {
			for _, a := range list {
				p.told <- *a
			}
		}})
	require.NoError(t, p.rules.Reload())
	p.rules.Start()
	return p
}

func (p *process) end(t *testing.T) {
	t.Helper()
	p.rules.Stop()
	require.NoError(t, p.engine.Close())
	require.NoError(t, p.store.Close())
}

// An alert that was firing fires again at once after a restart: its "for" goes
// on from where it was, and nothing says that it has resolved.
func TestForSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules.yml"), []byte(text), 0o600))
	p := begin(t, dir)
	a := <-p.told
	require.Equal(t, rules.StateFiring, a.State)
	since := a.ActiveAt
	// Its state must be on disk before the process ends: seen by a query.
	require.Eventually(t, func() bool {
		q, err := p.store.Queryable(tenant.Default).Querier(0, time.Now().UnixMilli())
		require.NoError(t, err)
		defer func() { _ = q.Close() }()
		return q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "ALERTS_FOR_STATE")).Next()
	}, 10*time.Second, 10*time.Millisecond)
	p.end(t)

	p = begin(t, dir)
	started := time.Now()
	a = <-p.told
	require.Equal(t, rules.StateFiring, a.State)
	require.WithinDuration(t, since, a.ActiveAt, time.Second, "pending since the first process")
	require.Less(t, time.Since(started), 4*time.Second+500*time.Millisecond, "two evaluations to restore, one to fire")
	require.True(t, a.ResolvedAt.IsZero())
	p.end(t)
}
