package tsdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/labels"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/index"

	"braid/pkg/tenant"
)

// Admin gives a tenant's statistics, deletion and snapshots. Its methods are
// those that Prometheus's HTTP API asks of its own database.
func (s *Store) Admin(id tenant.ID) *Admin { return &Admin{s, id} }

// Admin is one tenant's administration. A tenant without metrics has empty
// statistics.
type Admin struct {
	s  *Store
	id tenant.ID
}

// with runs f on the tenant's database, which stays open meanwhile; a tenant
// without one is left alone.
func (a *Admin) with(what string, f func(*promtsdb.DB) error) error {
	t := a.s.lookup(a.id)
	if t == nil {
		return nil
	}
	t.readers.RLock()
	defer t.readers.RUnlock()
	if err := f(t.db); err != nil {
		return fmt.Errorf("cannot %s of tenant %q: %w", what, a.id, err)
	}
	return nil
}

// Delete removes the samples of [mint, maxt] (Unix ms) of the series that
// match. They are gone from answers at once and from the disk at the next
// compaction.
func (a *Admin) Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	if err := a.with("delete series", func(db *promtsdb.DB) error { return db.Delete(ctx, mint, maxt, ms...) }); err != nil {
		return err
	}
	t := a.s.lookup(a.id)
	if t == nil {
		return nil
	}
	t.pos.touch()
	return t.sync()
}

// CleanTombstones rewrites the blocks without what was deleted.
func (a *Admin) CleanTombstones() error {
	return a.with("clean tombstones", (*promtsdb.DB).CleanTombstones)
}

// Snapshot makes dir hold blocks with all samples (those of the head only if
// asked), the exemplars and the metadata.
func (a *Admin) Snapshot(dir string, withHead bool) error {
	t := a.s.lookup(a.id)
	if t == nil {
		return fmt.Errorf("cannot take a snapshot: tenant %q has no metrics", a.id)
	}
	if err := a.with("take a snapshot", func(db *promtsdb.DB) error { return db.Snapshot(dir, withHead) }); err != nil {
		return err
	}
	return errors.Join(t.exemplars.snapshot(filepath.Join(dir, "exemplars")), t.meta.snapshot(filepath.Join(dir, "metadata.jsonl")))
}

// snapshot copies log and blocks: links where the file system can.
func (s *exemplarStore) snapshot(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.log.sync(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, b := range s.blocks {
		if err := os.Link(b.path, filepath.Join(dir, filepath.Base(b.path))); err != nil {
			return fmt.Errorf("cannot link exemplar block: %w", err)
		}
	}
	log, err := os.ReadFile(s.log.path)
	if err != nil {
		return err
	}
	return writeFileAtomic(filepath.Join(dir, filepath.Base(s.log.path)), log)
}

func (s *metaStore) snapshot(path string) error {
	if err := s.sync(); err != nil {
		return err
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	return writeFileAtomic(path, b)
}

// Stats counts the head's series, by metric, label and value.
func (a *Admin) Stats(byLabel string, limit int) (*promtsdb.Stats, error) {
	stats := &promtsdb.Stats{IndexPostingStats: &index.PostingsStats{}}
	err := a.with("count series", func(db *promtsdb.DB) error {
		stats = db.Head().Stats(byLabel, limit)
		return nil
	})
	return stats, err
}

// WALReplayStatus says how far the log's replay is: an open store has ended it.
func (a *Admin) WALReplayStatus() (promtsdb.WALReplayStatus, error) {
	return promtsdb.WALReplayStatus{}, nil
}

// BlockMetas describes the tenant's blocks.
func (a *Admin) BlockMetas() ([]promtsdb.BlockMeta, error) {
	metas := []promtsdb.BlockMeta{}
	err := a.with("list blocks", func(db *promtsdb.DB) error {
		metas = db.BlockMetas()
		return nil
	})
	return metas, err
}

// Compact turns what is ripe of the head into blocks and merges blocks, as
// happens by itself every minute.
func (a *Admin) Compact(ctx context.Context) error {
	return a.with("compact metrics", func(db *promtsdb.DB) error { return db.Compact(ctx) })
}
