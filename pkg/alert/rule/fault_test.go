package rule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

// world is what rules see and say in the time of synctest.
type world struct {
	ask func(ctx context.Context, expr string, at time.Time) (promql.Vector, error)

	mu       sync.Mutex // guards below
	clock    func() (time.Time, time.Duration)
	valid    map[string]int64 // Unix ns
	firing   map[string]int
	resolved map[string]int
	recorded map[string]float64
	asked    map[string][]time.Time
}

func (w *world) manager(t *testing.T, text string, reg prometheus.Registerer) *Manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	w.valid = map[string]int64{}
	w.firing, w.resolved, w.recorded, w.asked = map[string]int{}, map[string]int{}, map[string]float64{}, map[string][]time.Time{}
	m := New(context.Background(), Options{Files: []string{path}, Parser: parser.NewParser(parser.Options{}), Registerer: reg, clock: w.clock,
		Query: func(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
			w.mu.Lock()
			w.asked[expr] = append(w.asked[expr], at)
			w.mu.Unlock()
			return w.ask(ctx, expr, at)
		},
		Queryable: storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil }),
		Appendable: Appendable(func(_ context.Context, r *prompb.WriteRequest) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, s := range r.Timeseries {
				for _, l := range s.Labels {
					if l.Name == "__name__" && len(s.Samples) > 0 {
						w.recorded[l.Value] = s.Samples[0].Value
					}
				}
			}
			return nil
		}),
		Notify: func(_ context.Context, _ string, _ About, list []*rules.Alert) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, a := range list {
				if a.ResolvedAt.IsZero() {
					w.firing[a.Labels.Get("alertname")]++
					w.valid[a.Labels.Get("alertname")] = a.ValidUntil.UnixNano()
				} else {
					w.resolved[a.Labels.Get("alertname")]++
				}
			}
		}})
	require.NoError(t, m.Reload())
	m.Start()
	return m
}

func (w *world) said(name string) (firing, resolved int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.firing[name], w.resolved[name]
}

func (w *world) validUntil(name string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.valid[name]
}

func (w *world) times(expr string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked[expr])
}

func sample(at time.Time) promql.Vector { return promql.Vector{{T: at.UnixMilli(), F: 1}} }

func TestFaultsOfRules(t *testing.T) {
	run := func(name string, f func(t *testing.T)) { t.Run(name, func(t *testing.T) { synctest.Test(t, f) }) }

	run("a querier that is down ends nothing that fires, and is seen", func(t *testing.T) {
		var down atomic.Bool
		w := &world{ask: func(_ context.Context, _ string, at time.Time) (promql.Vector, error) {
			if down.Load() {
				return nil, errors.New("connection refused")
			}
			return sample(at), nil
		}}
		m := w.manager(t, "groups:\n- {name: g, interval: 1m, rules: [{alert: A, expr: up > 0}]}\n", nil)
		time.Sleep(3 * time.Minute)
		fired, _ := w.said("A")
		require.Positive(t, fired)
		down.Store(true)
		time.Sleep(10 * time.Minute)
		still, resolved := w.said("A")
		require.Zero(t, resolved, "nothing says that it is over")
		require.GreaterOrEqual(t, still, fired+9, "it is sent all the while, or an Alertmanager would end it")
		require.Greater(t, w.validUntil("A"), time.Now().Add(2*time.Minute).UnixNano())
		s := m.States()[0]
		require.Equal(t, "err", s.Health)
		failing, all := m.Failing()
		require.Equal(t, []int{1, 1}, []int{failing, all})
		require.Contains(t, s.LastError, "connection refused")
		down.Store(false)
		time.Sleep(3 * time.Minute)
		again, resolved := w.said("A")
		require.Greater(t, again, fired)
		require.Zero(t, resolved)
		require.Equal(t, "ok", m.States()[0].Health)
		m.Stop()
	})
	for name, step := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		run("a clock that is set "+name+" ends nothing that fires", func(t *testing.T) {
			var offset atomic.Int64
			base := time.Now()
			w := &world{clock: func() (time.Time, time.Duration) {
				return time.Now().Add(time.Duration(offset.Load())), time.Since(base)
			}}
			var empty atomic.Bool // there is no data of the new time
			w.ask = func(_ context.Context, _ string, at time.Time) (promql.Vector, error) {
				if empty.Load() {
					return nil, nil
				}
				return sample(at), nil
			}
			m := w.manager(t, "groups:\n- {name: g, interval: 1m, rules: [{alert: A, expr: up > 0}]}\n", nil)
			time.Sleep(3 * time.Minute)
			fired, _ := w.said("A")
			require.Positive(t, fired)
			asked := w.times("up > 0")
			offset.Store(int64(step))
			empty.Store(true)
			time.Sleep(4 * time.Minute)
			require.Equal(t, asked, w.times("up > 0"), "nobody asks for what cannot be there")
			require.Contains(t, m.States()[0].LastError, "the clock was set by "+step.String())
			empty.Store(false)
			time.Sleep(4 * time.Minute)
			_, resolved := w.said("A")
			require.Zero(t, resolved)
			require.Equal(t, "ok", m.States()[0].Health)
			require.Greater(t, w.times("up > 0"), asked)
			empty.Store(true) // over in earnest
			time.Sleep(3 * time.Minute)
			_, resolved = w.said("A")
			require.Positive(t, resolved)
			m.Stop()
		})
	}
	run("small corrections of the clock are none", func(t *testing.T) {
		var offset atomic.Int64
		base := time.Now()
		c := newClock(func() (time.Time, time.Duration) {
			return time.Now().Add(time.Duration(offset.Load())), time.Since(base)
		}, slog.New(slog.DiscardHandler))
		for range 600 {
			require.NoError(t, c.check())
			offset.Add(int64(time.Second))
			time.Sleep(time.Minute)
		}
	})
	run("a slow rule delays no other group, and what it misses is counted", func(t *testing.T) {
		w := &world{ask: func(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
			if expr == "slow" {
				select {
				case <-time.After(150 * time.Second):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			return sample(at), nil
		}}
		reg := prometheus.NewRegistry()
		m := w.manager(t, "groups:\n- {name: s, interval: 1m, rules: [{alert: S, expr: slow}]}\n- {name: q, interval: 1m, rules: [{alert: Q, expr: quick}]}\n", reg)
		time.Sleep(20*time.Minute + time.Second)
		require.GreaterOrEqual(t, w.times("quick"), 20)
		require.Less(t, w.times("slow"), 10)
		families, err := reg.Gather()
		require.NoError(t, err)
		missed := map[string]float64{}
		for _, f := range families {
			if f.GetName() == "prometheus_rule_group_iterations_missed_total" {
				for _, x := range f.GetMetric() {
					missed[filepath.Base(x.GetLabel()[0].GetValue())] = x.GetCounter().GetValue()
				}
			}
		}
		require.Zero(t, missed["rules.yml;q"], "%v", missed)
		require.GreaterOrEqual(t, missed["rules.yml;s"], 10.0, "%v", missed)
		m.Stop()
	})
	run("keep_firing_for, limit, query_offset, record", func(t *testing.T) {
		started := time.Now()
		w := &world{ask: func(_ context.Context, expr string, at time.Time) (promql.Vector, error) {
			switch expr {
			case "flaps > 0":
				if time.Since(started) > 5*time.Minute {
					return nil, nil
				}
				return sample(at), nil
			case "many":
				var v promql.Vector
				for i := range 5 {
					v = append(v, promql.Sample{T: at.UnixMilli(), F: 1, Metric: labels.FromStrings("i", fmt.Sprint(i))})
				}
				return v, nil
			}
			return sample(at), nil
		}}
		m := w.manager(t, `groups:
- {name: keep, interval: 1m, rules: [{alert: K, expr: flaps > 0, keep_firing_for: 10m}]}
- {name: limit, interval: 1m, limit: 3, rules: [{alert: L, expr: many}]}
- {name: off, interval: 1m, query_offset: 2m, rules: [{record: job:x:sum, expr: late}]}
`, nil)
		time.Sleep(12 * time.Minute)
		fired, resolved := w.said("K")
		require.Positive(t, fired)
		require.Zero(t, resolved, "kept firing")
		time.Sleep(6 * time.Minute)
		_, resolved = w.said("K")
		require.Positive(t, resolved)
		fired, _ = w.said("L")
		require.Zero(t, fired)
		for _, s := range m.States() {
			if s.Name == "L" {
				require.Contains(t, s.LastError, "limit of 3")
			}
		}
		w.mu.Lock()
		require.Equal(t, 1.0, w.recorded["job:x:sum"])
		require.Contains(t, w.recorded, "ALERTS")
		require.Contains(t, w.recorded, "ALERTS_FOR_STATE")
		require.GreaterOrEqual(t, time.Since(w.asked["late"][len(w.asked["late"])-1]), 2*time.Minute)
		w.mu.Unlock()
		m.Stop()
	})
	run("ten thousand rules are each evaluated every minute", func(t *testing.T) {
		w := &world{ask: func(_ context.Context, _ string, at time.Time) (promql.Vector, error) { return nil, nil }}
		var text strings.Builder
		text.WriteString("groups:\n")
		for g := range 100 {
			fmt.Fprintf(&text, "- name: g%d\n  interval: 1m\n  rules:\n", g)
			for r := range 100 {
				fmt.Fprintf(&text, "  - {alert: A%d, expr: m%d_%d > 0}\n", r, g, r)
			}
		}
		m := w.manager(t, text.String(), nil)
		time.Sleep(3*time.Minute + 30*time.Second)
		w.mu.Lock()
		require.Len(t, w.asked, 10_000)
		for expr, at := range w.asked {
			require.GreaterOrEqual(t, len(at), 3, expr)
		}
		w.mu.Unlock()
		m.Stop()
	})
}
