package app

import (
	"context"
	"fmt"
	"slices"

	"braid/pkg/api/lokiapi"
	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func (a *App) lokiOptions() lokiapi.Options {
	o := lokiapi.Options{Engine: a.engines.logql, Guard: a.guard, Logger: a.log.With("part", "loki API"), Version: a.o.Version,
		Retention: a.cfg.Load().Logs.Retention.Std()}
	if a.local != nil {
		o.Tail = func(t tenant.ID) lokiapi.TailReader { return a.local.pipeline.Tap().Subscribe(t, 0) }
		o.Deleter = deleter{a.local.logs}
	}
	return o
}

// deleter makes the log store's deletions what the Loki API asks for.
type deleter struct{ store *logstore.Store }

func (d deleter) Delete(ctx context.Context, t tenant.ID, x lokiapi.Deletion) (string, error) {
	return d.store.Delete(ctx, logstore.Deletion{Tenant: t, Range: x.Range, Filter: x.Filter})
}

func (d deleter) Deletions(_ context.Context, t tenant.ID) ([]lokiapi.Deletion, error) {
	var out []lokiapi.Deletion
	for _, s := range d.store.Deletions(t) {
		status := "processed"
		if s.Pending > 0 {
			status = "received"
		}
		out = append(out, lokiapi.Deletion{ID: s.ID, Query: s.Filter, Range: s.Range, Status: status, Created: s.Created})
	}
	return out, nil
}

// CancelDeletion always refuses: what is deleted is hidden at once.
func (d deleter) CancelDeletion(_ context.Context, t tenant.ID, id string, _ bool) error {
	if !slices.ContainsFunc(d.store.Deletions(t), func(s logstore.DeletionStatus) bool { return s.ID == id }) {
		return fmt.Errorf("deletion %q: %w", id, model.ErrNotFound)
	}
	return fmt.Errorf("deletion %q has hidden its records already and cannot be taken back: %w", id, model.ErrNotFound)
}
