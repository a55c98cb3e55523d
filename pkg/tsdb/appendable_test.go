package tsdb

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func TestPrometheusCodeCanAppend(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	a := s.Appendable(tenant.Default)
	ls := labels.FromStrings("__name__", "c_total", "job", "x")
	v1 := a.Appender(context.Background())
	_, err := v1.Append(0, ls, ms(0), 1)
	require.NoError(t, err)
	_, err = v1.AppendHistogram(0, labels.FromStrings("__name__", "h"), ms(0), native(), nil)
	require.NoError(t, err)
	require.Empty(t, dump(t, s, tenant.Default))
	require.NoError(t, v1.Commit())
	v2 := a.AppenderV2(context.Background())
	_, err = v2.Append(0, ls, 0, ms(10), 2, nil, nil, storage.AOptions{Metadata: metadata.Metadata{Type: "counter", Help: "Counts."},
		Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("traceID", traceID(1).String()), Value: 3, Ts: ms(9), HasTs: true}}})
	require.NoError(t, err)
	require.NoError(t, v2.Commit())
	lost := a.AppenderV2(context.Background())
	_, err = lost.Append(0, ls, 0, ms(20), 2, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, lost.Rollback())
	require.Equal(t, `{__name__="c_total", job="x"} 1@0 2@10
{__name__="h"} {count:3, sum:4, (1,1.414213562373095]:1, (1.414213562373095,2]:2}@0`, dump(t, s, tenant.Default))
	require.Equal(t, []string{"c_total  3 2"}, exemplarsOf(t, s, predicate.ExemplarQuery{}))
	m, err := s.Metadata(context.Background(), tenant.Default, "c_total", 0)
	require.NoError(t, err)
	require.Equal(t, "Counts.", m["c_total"].Help)
}
