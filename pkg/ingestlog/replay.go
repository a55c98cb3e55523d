package ingestlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"braid/pkg/model"
)

// ReplayStats says what a replay met.
type ReplayStats struct {
	Records, Bytes int64
	// Skipped are records below the position asked for.
	Skipped int64
	// First and Last are the positions yielded.
	First, Last model.Position
	// Damage lists stretches that hold no whole record, at most maxDamage of
	// them; Damaged counts all, DamagedBytes is their length.
	Damage                []Damage
	Damaged, DamagedBytes int64
}

// Damage is a stretch of a segment that holds no whole record.
type Damage struct {
	File           string
	Offset, Length int64
	Reason         string
}

func (d Damage) String() string {
	return fmt.Sprintf("%s: %d bytes at offset %d: %s", d.File, d.Length, d.Offset, d.Reason)
}

const maxDamage = 100

// Replay yields the durable records from a position on, in order, each once.
// Record and payload are valid during the call of fn; an error of fn ends the
// replay and is returned. Memory is bounded by the largest record. Damage is
// skipped, logged and counted. Requests appended meanwhile may or may not be
// seen.
func (l *Log) Replay(ctx context.Context, from model.Position, fn func(pos model.Position, r *Record) error) (ReplayStats, error) {
	l.mu.Lock()
	segments := make([]segment, len(l.segments))
	for i, s := range l.segments {
		segments[i] = *s
	}
	l.mu.Unlock()
	var stats ReplayStats
	for i := range segments {
		if i+1 < len(segments) && segments[i+1].first <= from {
			continue
		}
		if err := l.replaySegment(ctx, &segments[i], from, fn, &stats); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

func (l *Log) replaySegment(ctx context.Context, seg *segment, from model.Position, fn func(model.Position, *Record) error, stats *ReplayStats) error {
	f, err := l.o.FS.Open(seg.path)
	if errors.Is(err, fs.ErrNotExist) && !l.has(seg.path) {
		return nil // trimmed meanwhile
	}
	if err != nil {
		l.noteDamage(stats, Damage{File: seg.path, Length: seg.size, Reason: err.Error()})
		return nil
	}
	defer f.Close()
	sc, err := newScanner(f, seg.size, func(offset, length int64, reason string) {
		l.noteDamage(stats, Damage{File: seg.path, Offset: offset, Length: length, Reason: reason})
	})
	if err != nil {
		l.noteDamage(stats, Damage{File: seg.path, Length: seg.size, Reason: err.Error()})
		return nil
	}
	sc.last = stats.Last
	for {
		pos, r, err := sc.next(ctx, from)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("cannot replay segment %q: %w", seg.path, err)
		case r == nil:
			stats.Skipped++
			continue
		}
		if stats.Records == 0 {
			stats.First = pos
		}
		stats.Records++
		stats.Bytes += int64(len(r.Payload))
		stats.Last = pos
		if err := fn(pos, r); err != nil {
			return err
		}
	}
}

func (l *Log) has(path string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.segments, func(s *segment) bool { return s.path == path })
}

func (l *Log) noteDamage(stats *ReplayStats, d Damage) {
	stats.Damaged++
	stats.DamagedBytes += d.Length
	if len(stats.Damage) < maxDamage {
		stats.Damage = append(stats.Damage, d)
		l.o.Logger.Warn("skipping damaged bytes of the ingest log", "file", d.File, "offset", d.Offset, "bytes", d.Length, "reason", d.Reason)
	}
	l.mu.Lock()
	l.damaged++
	l.mu.Unlock()
	l.m.damaged.Inc()
}
