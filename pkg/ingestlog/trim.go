package ingestlog

import (
	"errors"
	"fmt"
	"io/fs"

	"braid/pkg/model"
)

// TrimBefore removes the segments that hold only positions below pos: those
// that every store has in durable blocks. pos must not pass the position of a
// request that is between Append and its store: the store does not know of it
// yet, only whoever appended does. The active segment is not removed;
// when all of it is below pos, a new one is begun and the next call removes it.
func (l *Log) TrimBefore(pos model.Position) error {
	l.mu.Lock()
	n := 0
	for n+1 < len(l.segments) && (l.segments[n+1].first <= pos || l.segments[n].last != 0 && l.segments[n].last < pos) {
		n++
	}
	doomed := l.segments[:n:n]
	l.segments = append([]*segment(nil), l.segments[n:]...)
	if k := len(l.segments); k > 0 && l.segments[k-1].last != 0 && l.segments[k-1].last < pos {
		l.rotate = true
	}
	l.mu.Unlock()
	l.signal()
	if n == 0 {
		return nil
	}
	return l.remove(doomed)
}

// remove deletes segments, oldest first. Those that cannot be deleted come back
// into the list, to be tried again.
func (l *Log) remove(doomed []*segment) error {
	for i, s := range doomed {
		if err := l.o.FS.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.mu.Lock()
			l.segments = append(append([]*segment(nil), doomed[i:]...), l.segments...)
			l.mu.Unlock()
			return fmt.Errorf("cannot trim segment %q of the ingest log: %w", s.path, err)
		}
	}
	if err := l.o.FS.SyncDir(l.o.Dir); err != nil {
		return fmt.Errorf("cannot trim ingest log %q: %w", l.o.Dir, err)
	}
	return nil
}

// dropEmpty removes segments without a record, which starts without traffic
// leave behind. The newest stays: its name keeps positions from coming again.
func (l *Log) dropEmpty() {
	l.mu.Lock()
	var keep, empty []*segment
	for i, s := range l.segments {
		if i+1 < len(l.segments) && s.size <= segmentHeader {
			empty = append(empty, s)
		} else {
			keep = append(keep, s)
		}
	}
	l.segments = keep
	l.mu.Unlock()
	for _, s := range empty {
		if err := l.o.FS.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.o.Logger.Warn("cannot remove an empty segment of the ingest log", "segment", s.path, "error", err)
		}
	}
}

// Stats describes a log.
type Stats struct {
	Segments int
	Bytes    int64
	// Next is the position that the next request gets; Durable the last one that
	// is on disk, 0 when none since Open.
	Next, Durable model.Position
	QueuedBytes   int64
	// ReadOnly says why nothing is accepted; nil when it is.
	ReadOnly error
	// Records and Syncs since Open; Damaged stretches met by replays.
	Records, Syncs, Damaged int64
}

// Stats returns the present state.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Segments: len(l.segments), Bytes: l.bytes(), Next: l.next, Durable: l.durable, QueuedBytes: l.queued,
		ReadOnly: l.readOnly, Records: l.records, Syncs: l.syncs, Damaged: l.damaged,
	}
}
