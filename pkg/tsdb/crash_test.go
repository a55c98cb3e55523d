package tsdb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// Requests come, syncs happen or not, and now and then the folder is copied as
// it is: everything below OldestNeeded must be in the copy, and a replay of
// the rest must make it whole, each sample once.
func TestRandomCrashes(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	requests := map[model.Position]*model.Metrics{}
	clock := map[int]int{}
	next := model.Position(1)
	request := func() *model.Metrics {
		n := r.IntN(5)
		clock[n] += 1 + r.IntN(10)
		sec := clock[n]
		if r.IntN(6) == 0 {
			sec -= 20 // late
		}
		ex := model.Exemplar{Time: at(sec), Value: float64(next), TraceID: traceID(int(next))}
		return batch(res("service.name", fmt.Sprint(n)), gauge("g", point(sec, float64(next), "sec", fmt.Sprint(sec%3))),
			counter("c", model.Point{Time: at(sec), Value: 1, Attrs: attrs("pos", fmt.Sprint(next)), Exemplars: []model.Exemplar{ex}}))
	}
	for range 12 {
		for range 1 + r.IntN(20) {
			m := request()
			_, err := s.AppendMetrics(context.Background(), tenant.Default, next, m)
			require.NoError(t, err)
			requests[next] = m
			next++
			if r.IntN(8) == 0 {
				require.NoError(t, s.Sync())
			}
		}
		want := strings.Split(dump(t, s, tenant.Default), "\n")
		oldest, needed := s.OldestNeeded()
		if !needed {
			oldest = next
		}
		c := openTest(t, copyOf(t, o))
		have := dump(t, c, tenant.Default)
		for pos := model.Position(1); pos < oldest; pos++ {
			require.Contains(t, have, fmt.Sprintf("pos=\"%d\"", pos))
			require.Len(t, exemplarsOf(t, c, predicate.ExemplarQuery{ID: traceID(int(pos)).String()}), 1)
		}
		for pos := oldest; pos < next; pos++ { // the ingest log's replay
			_, err := c.AppendMetrics(context.Background(), tenant.Default, pos, requests[pos])
			require.NoError(t, err)
		}
		c.EndReplay()
		require.Equal(t, want, strings.Split(dump(t, c, tenant.Default), "\n"))
		for pos := model.Position(1); pos < next; pos++ {
			require.Len(t, exemplarsOf(t, c, predicate.ExemplarQuery{ID: traceID(int(pos)).String()}), 1)
		}
	}
}
