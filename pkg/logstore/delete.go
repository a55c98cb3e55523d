package logstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// Deletion asks for records to be forgotten: those of a tenant, in a time range
// (the zero range: all time), that satisfy a condition (nil: every one), and
// that had been taken when Delete was called.
type Deletion struct {
	Tenant tenant.ID
	Range  model.TimeRange
	Filter predicate.Expr
}

// tombstone is a deletion in force. Immutable.
type tombstone struct {
	ID     string
	Tenant tenant.ID
	Range  model.TimeRange
	Filter predicate.Expr
	// Gen and Pos bound what had been taken: rows of heads up to Gen, requests
	// up to Pos.
	Gen     uint32
	Pos     model.Position
	Created time.Time
}

// DeletionStatus tells how far a deletion has come.
type DeletionStatus struct {
	ID      string
	Range   model.TimeRange
	Filter  string
	Created time.Time
	// Pending counts the blocks that still hold such records, hidden.
	Pending int
}

// Delete hides records at once, durably; they are taken off the disk in the
// background. It returns the deletion's id.
func (s *Store) Delete(ctx context.Context, d Deletion) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if d.Filter == nil {
		d.Filter = predicate.True{}
	}
	if _, err := predicate.MarshalExpr(d.Filter); err != nil {
		return "", fmt.Errorf("cannot delete log records: %w", err)
	}
	t := s.lookup(d.Tenant)
	if t == nil {
		return "", nil // there is nothing to forget
	}
	t.appendMu.Lock()
	defer t.appendMu.Unlock()
	t.mu.Lock()
	pos := t.durable.Max()
	for _, h := range t.heads() {
		pos = max(pos, h.positions.Max())
	}
	s.rotate(t)
	now := s.opts.Now()
	tomb := &tombstone{Tenant: d.Tenant, Range: d.Range, Filter: d.Filter, Gen: t.lastGen, Pos: pos, Created: now}
	tomb.ID = fmt.Sprintf("%x-%d", now.UnixNano(), len(t.tombs))
	t.tombs = append(slices.Clone(t.tombs), tomb)
	t.mu.Unlock()
	if err := s.saveTombstones(); err != nil {
		t.mu.Lock()
		t.tombs = slices.DeleteFunc(slices.Clone(t.tombs), func(x *tombstone) bool { return x == tomb })
		t.mu.Unlock()
		return "", fmt.Errorf("cannot delete log records: %w", err)
	}
	return tomb.ID, nil
}

// Deletions lists a tenant's deletions in force, oldest first.
func (s *Store) Deletions(id tenant.ID) []DeletionStatus {
	t := s.lookup(id)
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []DeletionStatus
	for _, d := range t.tombs {
		st := DeletionStatus{ID: d.ID, Range: d.Range, Filter: d.Filter.String(), Created: d.Created, Pending: len(t.flushing)}
		for _, b := range t.blocks {
			if d.covers(b) {
				st.Pending++
			}
		}
		out = append(out, st)
	}
	return out
}

// covers reports whether a block may still hold rows that the deletion hides.
func (d *tombstone) covers(b *blockReader) bool {
	return b.gen <= d.Gen && b.block.Overlaps(d.Range) && !slices.Contains(b.applied, d.ID)
}

// compileHidden compiles the deletions that apply to a part of generation gen,
// less those applied when it was written.
func compileHidden(tombs []*tombstone, gen uint32, applied []string, t *table, spec *model.KeySpec, known leaves) []hidden {
	var out []hidden
	for _, d := range tombs {
		if gen > d.Gen || slices.Contains(applied, d.ID) {
			continue
		}
		if n := compileFilter(d.Filter, t, spec, known); n != constNode(false) {
			out = append(out, hidden{d.Range, n})
		}
	}
	return out
}

// gone returns the test of a replayed record against the deletions made after
// its request was taken; nil when there are none.
func gone(tombs []*tombstone, pos model.Position, spec *model.KeySpec) func(*model.LogRow) bool {
	var after []*tombstone
	for _, d := range tombs {
		if pos != 0 && pos <= d.Pos {
			after = append(after, d)
		}
	}
	if len(after) == 0 {
		return nil
	}
	return func(r *model.LogRow) bool {
		return slices.ContainsFunc(after, func(d *tombstone) bool {
			return d.Range.Contains(r.Time) && predicate.Eval(d.Filter, predicate.LogRow{LogRow: r, Spec: spec})
		})
	}
}

// tombstonesFile has a name that no tenant's folder can have.
const tombstonesFile = "~deletions"

type tombstoneJSON struct {
	ID      string          `json:"id"`
	Tenant  tenant.ID       `json:"tenant"`
	Start   int64           `json:"start,omitempty"`
	End     int64           `json:"end,omitempty"`
	Filter  json.RawMessage `json:"filter"`
	Gen     uint32          `json:"gen"`
	Pos     uint64          `json:"pos"`
	Created time.Time       `json:"created"`
}

// saveTombstones replaces the file with what is in force.
func (s *Store) saveTombstones() error {
	s.tombMu.Lock()
	defer s.tombMu.Unlock()
	var all []tombstoneJSON
	for _, t := range s.allTenants() {
		t.mu.Lock()
		tombs := t.tombs
		t.mu.Unlock()
		for _, d := range tombs {
			expr, err := predicate.MarshalExpr(d.Filter)
			if err != nil {
				return err
			}
			all = append(all, tombstoneJSON{d.ID, d.Tenant, d.Range.Start, d.Range.End, expr, d.Gen, uint64(d.Pos), d.Created})
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return err
	}
	raw = fmt.Appendf(raw, "\n%08x\n", crc32.Checksum(raw, castagnoli))
	return replaceFile(s.opts.FS, filepath.Join(s.opts.Dir, tombstonesFile), raw)
}

// replaceFile writes a file so that a crash leaves the old or the new one.
func replaceFile(fsys vfs.FS, path string, data []byte) error {
	f, err := fsys.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(path+".tmp", path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// loadTombstones reads the deletions in force. A damaged file is an error: to
// go on would show what was to be forgotten.
func (s *Store) loadTombstones() error {
	path := filepath.Join(s.opts.Dir, tombstonesFile)
	data, err := s.opts.FS.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	raw, sum, _ := bytes.Cut(data, []byte("\n"))
	if string(bytes.TrimSpace(sum)) != fmt.Sprintf("%08x", crc32.Checksum(raw, castagnoli)) {
		return fmt.Errorf("the list of deletions %q is damaged; restore it from a backup, or remove it and delete again", path)
	}
	var all []tombstoneJSON
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("cannot read the list of deletions %q: %w", path, err)
	}
	for _, j := range all {
		expr, err := predicate.UnmarshalExpr(j.Filter)
		if err != nil {
			return fmt.Errorf("cannot read deletion %q in %q: %w", j.ID, path, err)
		}
		t := s.state(j.Tenant)
		t.tombs = append(t.tombs, &tombstone{j.ID, j.Tenant, model.TimeRange{Start: j.Start, End: j.End}, expr, j.Gen, model.Position(j.Pos), j.Created})
		t.lastGen = max(t.lastGen, j.Gen)
	}
	return nil
}
