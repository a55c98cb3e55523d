package conformance

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/fanout"
	"braid/pkg/query/sourcetest"
	"braid/pkg/remote"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

type metricShelf struct {
	t     *testing.T
	dir   string
	store *tsdb.Store
}

func (s *metricShelf) open() {
	store, err := tsdb.Open(tsdb.Options{Dir: s.dir, NoTargetInfo: true})
	require.NoError(s.t, err)
	store.EndReplay()
	s.store = store
}

func (s *metricShelf) append(id tenant.ID, pos model.Position, metrics *model.Metrics) error {
	rej, err := s.store.AppendMetrics(ctx, id, pos, metrics)
	if err == nil && rej.Count > 0 {
		err = fmt.Errorf("rejected %d: %s", rej.Count, rej.Message())
	}
	return err
}

func (s *metricShelf) reshape(r *rand.Rand) *tsdb.Store {
	if r.IntN(2) == 0 {
		require.NoError(s.t, s.store.Close())
		s.open()
	}
	return s.store
}

func newMetricShelf(t *testing.T) *metricShelf {
	s := &metricShelf{t: t, dir: t.TempDir()}
	s.open()
	t.Cleanup(func() { require.NoError(t, s.store.Close()) })
	return s
}

// begin lies in the past: samples of the future are refused.
func begin() int64 { return time.Now().Add(-10 * time.Minute).Truncate(time.Second).UnixNano() }

func TestMetricStore(t *testing.T) {
	sourcetest.RunMetrics(t, 1, begin(), func(t *testing.T) sourcetest.MetricSubject {
		s := newMetricShelf(t)
		return sourcetest.MetricSubject{Append: s.append, Reshape: func(r *rand.Rand) query.MetricSource { return s.reshape(r) }}
	})
}

func TestMetricStoreOverGRPC(t *testing.T) {
	sourcetest.RunMetrics(t, 2, begin(), func(t *testing.T) sourcetest.MetricSubject {
		s := newMetricShelf(t)
		return sourcetest.MetricSubject{Append: s.append, Reshape: func(r *rand.Rand) query.MetricSource {
			return over(t, remote.Sources{Metrics: s.reshape(r)})
		}}
	})
}

// TestMetricStoresBehindFanout splits every series over two stores.
func TestMetricStoresBehindFanout(t *testing.T) {
	sourcetest.RunMetrics(t, 3, begin(), func(t *testing.T) sourcetest.MetricSubject {
		a, b := newMetricShelf(t), newMetricShelf(t)
		return sourcetest.MetricSubject{
			Append: func(id tenant.ID, pos model.Position, metrics *model.Metrics) error {
				if pos%2 == 0 {
					return a.append(id, pos, metrics)
				}
				return b.append(id, pos, metrics)
			},
			Reshape: func(r *rand.Rand) query.MetricSource {
				return &fanout.Metrics{Parts: []fanout.Part[query.MetricSource]{
					{Name: "a", Source: a.reshape(r)}, {Name: "b", Source: over(t, remote.Sources{Metrics: b.reshape(r)})}}}
			}}
	})
}
