package tsdb

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// t0 is the clock of the tests.
var t0 = time.Unix(1_700_000_000, 0)

func testOptions(dir string) Options {
	return Options{Dir: dir, Now: func() time.Time { return t0 }, SyncInterval: -1}
}

func openTest(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func res(kv ...string) *model.Resource { return &model.Resource{Attrs: attrs(kv...)} }

func attrs(kv ...string) model.Attrs {
	var a model.Attrs
	for i := 0; i < len(kv); i += 2 {
		a = append(a, model.Attr{Key: kv[i], Value: model.String(kv[i+1])})
	}
	return a
}

func batch(r *model.Resource, m ...model.Metric) *model.Metrics {
	return &model.Metrics{Batches: []model.MetricBatch{{Resource: r, Scope: &model.Scope{Name: "test"}, Metrics: m}}}
}

func gauge(name string, p ...model.Point) model.Metric {
	return model.Metric{Name: name, Type: model.MetricGauge, Points: p}
}

func counter(name string, p ...model.Point) model.Metric {
	return model.Metric{Name: name, Type: model.MetricSum, Monotonic: true, Temporality: model.TemporalityCumulative, Points: p}
}

// at returns a time so many seconds after t0, in Unix ns.
func at(seconds int) int64 { return t0.Add(time.Duration(seconds) * time.Second).UnixNano() }

func point(seconds int, v float64, kv ...string) model.Point {
	return model.Point{Time: at(seconds), Value: v, Attrs: attrs(kv...)}
}

func push(t *testing.T, s *Store, m *model.Metrics) model.Rejections {
	t.Helper()
	rej, err := s.AppendMetrics(context.Background(), tenant.Default, 0, m)
	require.NoError(t, err)
	return rej
}

// dump renders every series of a tenant that matches, one a line, times as
// seconds after t0.
func dump(t *testing.T, s *Store, id tenant.ID, matchers ...*labels.Matcher) string {
	t.Helper()
	if len(matchers) == 0 {
		matchers = []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+")}
	}
	q, err := s.Queryable(id).Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	var lines []string
	set := q.Select(context.Background(), true, nil, matchers...)
	for set.Next() {
		var b strings.Builder
		b.WriteString(set.At().Labels().String())
		it := set.At().Iterator(nil)
		none := b.Len()
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			switch vt {
			case chunkenc.ValFloat:
				ts, v := it.At()
				fmt.Fprintf(&b, " %v@%v", v, float64(ts-t0.UnixMilli())/1000)
			default:
				ts, fh := it.AtFloatHistogram(nil)
				fmt.Fprintf(&b, " %s@%v", fh.String(), float64(ts-t0.UnixMilli())/1000)
			}
		}
		require.NoError(t, it.Err())
		if b.Len() > none {
			lines = append(lines, b.String())
		}
	}
	require.NoError(t, set.Err())
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func named(name string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, name)
}

// copyOf copies the folder of an open store, which is what a crash leaves.
func copyOf(t *testing.T, o Options) Options {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(o.Dir)))
	locks, err := filepath.Glob(filepath.Join(dir, "*", "tsdb", "lock"))
	require.NoError(t, err)
	for _, l := range locks {
		require.NoError(t, os.Remove(l))
	}
	o.Dir = dir
	o.Registerer = nil
	return o
}
