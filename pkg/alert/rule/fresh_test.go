package rule

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

// once is a querier over several stores: once a selection has been read it takes
// no other.
type once struct {
	storage.Querier
	read bool
}

type onceSet struct {
	storage.SeriesSet
	q *once
}

func (q *once) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	if q.read {
		panic("Select invoked after first Next of any returned SeriesSet was done")
	}
	return onceSet{storage.EmptySeriesSet(), q}
}

func (s onceSet) Next() bool {
	s.q.read = true
	return false
}

func (q *once) Close() error { return nil }

// The state of a group of several rules is restored from such a querier.
func TestRestoreAcrossStores(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yml")
	require.NoError(t, os.WriteFile(path, []byte(`groups:
- name: g
  interval: 1s
  rules:
  - {alert: A, expr: vector(1), for: 1s}
  - {alert: B, expr: vector(1), for: 1s}
`), 0o600))
	told := make(chan string, 100)
	m := New(context.Background(), Options{Files: []string{path}, Parser: parser.NewParser(parser.Options{}),
		Query: func(_ context.Context, _ string, at time.Time) (promql.Vector, error) {
			return promql.Vector{{T: at.UnixMilli(), F: 1}}, nil
		},
		Queryable:  storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return &once{}, nil }),
		Appendable: Appendable(func(context.Context, *prompb.WriteRequest) error { return nil }),
		Notify: func(_ context.Context, _ string, _ About, list []*rules.Alert) {
			for _, a := range list {
				told <- a.Labels.Get("alertname")
			}
		}})
	require.NoError(t, m.Reload())
	m.Start()
	seen := map[string]bool{}
	for len(seen) < 2 {
		seen[<-told] = true
	}
	m.Stop()
}
