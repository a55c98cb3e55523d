package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestGuardBoundsAndLogs(t *testing.T) {
	g := New(Options{MaxConcurrent: 1, MaxWaiting: 1, LogSize: 2})
	ctx := context.Background()
	_, done, err := g.Begin(ctx, "a", "promql", "up")
	require.NoError(t, err)

	waiting, cancel := context.WithCancel(ctx)
	result := make(chan error)
	go func() { _, _, err := g.Begin(waiting, "a", "promql", "down"); result <- err }()
	for g.tenant("a").waiting.Load() == 0 {
	}
	_, _, err = g.Begin(ctx, "a", "promql", "third")
	var over *model.OverloadError
	require.ErrorAs(t, err, &over)
	require.True(t, over.Tenant)

	_, doneB, err := g.Begin(ctx, "b", "logql", "{}")
	require.NoError(t, err, "another tenant is not held up")
	doneB(nil, nil)
	require.Len(t, g.Log("b"), 1)

	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	stats := &model.QueryStats{}
	stats.AddRows(7)
	done(stats, errors.New("boom"))
	done(stats, nil) // a second call is harmless
	log := g.Log("a")
	require.Len(t, log, 1)
	require.Equal(t, "boom", log[0].Error)
	require.EqualValues(t, 7, log[0].Rows)

	for _, text := range []string{"1", "2", "3"} {
		_, done, err := g.Begin(ctx, "a", "promql", text)
		require.NoError(t, err)
		done(nil, nil)
	}
	log = g.Log("a")
	require.Len(t, log, 2)
	require.Equal(t, "3", log[0].Text)
	require.Equal(t, "2", log[1].Text)
}

func TestGuardCancel(t *testing.T) {
	g := New(Options{})
	ctx, done, err := g.Begin(context.Background(), tenant.Default, "traceql", "{}")
	require.NoError(t, err)
	id := g.Log(tenant.Default)[0].ID
	require.ErrorIs(t, g.Cancel("other", id), model.ErrNotFound)
	require.NoError(t, g.Cancel(tenant.Default, id))
	<-ctx.Done()
	require.ErrorIs(t, context.Cause(ctx), errCancelled)
	done(nil, context.Cause(ctx))
	require.ErrorIs(t, g.Cancel(tenant.Default, id), model.ErrNotFound)
	require.ErrorIs(t, g.Cancel(tenant.Default, "x"), model.ErrInvalid)
}
