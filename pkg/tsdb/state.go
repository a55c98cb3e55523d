package tsdb

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// The state file names the ingest-log positions whose samples are durable here,
// so that a replay after a restart leaves them out. It is one line: the version,
// the positions as PositionSet writes them, and the CRC32C of both.

const stateFile = "POSITIONS"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// held reports whether a replayed position is already durable here.
func (s *Store) held(pos model.Position) bool {
	d := s.durable.Load()
	return d != nil && pos != 0 && d.Contains(pos)
}

// Holds is held for a replay that has not unpacked the payload yet: see
// ingest.Holder.
func (s *Store) Holds(_ tenant.ID, pos model.Position) bool { return s.held(pos) }

// EndReplay says that the ingest log has been replayed: from now on every
// position is new. Until it is called, positions that the previous run had made
// durable are taken for repetitions and left out. Call it before the first
// receiver starts, also when there was nothing to replay.
func (s *Store) EndReplay() { s.durable.Store(nil) }

func (s *Store) loadState() error {
	b, err := os.ReadFile(filepath.Join(s.opts.Dir, stateFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the positions of the metric store: %w", err)
	}
	set, err := parseState(b)
	if err != nil {
		// Without it the replay repeats samples that are there, which is slow
		// but harms nothing.
		s.opts.Logger.Warn("cannot read the positions of the metric store: replaying all", "err", err)
		return nil
	}
	s.durable.Store(&set)
	s.state = set.Clone()
	return nil
}

func parseState(b []byte) (model.PositionSet, error) {
	var set model.PositionSet
	var sum uint32
	i := bytes.LastIndexByte(bytes.TrimSpace(b), ' ')
	if i < 0 || !bytes.HasPrefix(b, []byte("v1 ")) {
		return set, fmt.Errorf("unknown version in %q", clip(string(b)))
	}
	if _, err := fmt.Sscanf(string(b[i+1:]), "%08x", &sum); err != nil || sum != crc32.Checksum(b[:i], castagnoli) {
		return set, fmt.Errorf("checksum of %q is wrong", clip(string(b)))
	}
	err := set.UnmarshalText(bytes.TrimPrefix(b[:i], []byte("v1 ")))
	return set, err
}

func formatState(set *model.PositionSet) []byte {
	b := []byte("v1 " + set.String())
	return fmt.Appendf(b, " %08x\n", crc32.Checksum(b, castagnoli))
}

// maxStateRanges bounds the state file: positions of other signals leave holes.
const maxStateRanges = 4096

// saveState writes the durable positions. Holes below the least position still
// needed are closed: they belong to other signals, or to requests that were
// never acknowledged.
func (s *Store) saveState() error {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	oldest, needed := s.OldestNeeded()
	changed := false
	for _, t := range s.all() {
		t.pos.mu.Lock()
		if _, ok := t.pos.done.Min(); ok {
			s.state.Union(t.pos.done)
			t.pos.done = model.PositionSet{}
			changed = true
		}
		t.pos.mu.Unlock()
	}
	if !changed {
		return nil
	}
	if high := s.state.Max(); !needed {
		s.state.AddRange(1, high)
	} else if oldest > 1 {
		s.state.AddRange(1, min(oldest-1, high))
	}
	b := formatState(&s.state)
	if bytes.Count(b, []byte(",")) > maxStateRanges {
		return nil // a stuck sync; the file of before stays true
	}
	return writeFileAtomic(filepath.Join(s.opts.Dir, stateFile), b)
}

// writeFileAtomic replaces a file so that a crash leaves the old or the new one.
func writeFileAtomic(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}
