package ingestlog

import (
	"errors"
	"fmt"
	"time"

	"braid/pkg/model"
)

// gatherBytes end the wait for more requests: the sync has enough to do.
const gatherBytes = 1 << 20

// writeBytes is the size of the writer's buffer: larger payloads bypass it.
const writeBytes = 256 << 10

// run is the writer, one goroutine from Open to Close.
func (l *Log) run() {
	defer close(l.stopped)
	for {
		work, closed := l.pending()
		switch {
		case l.seg == nil && closed:
			return
		case l.seg == nil:
			l.pause()
			l.begin()
		case work:
			l.gather(closed)
			l.commit(l.take())
		case closed:
			return
		default:
			l.maybeRotate()
			select {
			case <-l.wake:
			case <-l.closing:
			}
		}
	}
}

func (l *Log) pending() (work, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open.entries) > 0, l.closed
}

// pause waits for the next try to write, or for Close.
func (l *Log) pause() {
	t := time.NewTimer(l.probe)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.closing:
	}
	l.probe = min(2*l.probe, maxProbe)
}

// gather lets requests come together until SyncDelay has passed since the last
// sync. After a pause of that length it returns at once.
func (l *Log) gather(closed bool) {
	wait := l.o.SyncDelay - time.Since(l.lastSync)
	if closed || l.o.NoSync || wait <= 0 || wait > l.o.SyncDelay {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return
		case <-l.closing:
			return
		case <-l.wake:
			l.mu.Lock()
			enough := l.open.bytes >= gatherBytes
			l.mu.Unlock()
			if enough {
				return
			}
		}
	}
}

// take closes the open batch and begins another.
func (l *Log) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.open
	b.taken = true
	l.open = newBatch()
	return b
}

// commit brings a batch to the disk and answers everybody in it.
func (l *Log) commit(b *batch) {
	kept := b.entries[:0]
	for _, t := range b.entries {
		if t.rec != nil {
			kept = append(kept, t)
		}
	}
	if b.entries = kept; len(kept) == 0 {
		l.finish(b, nil)
		return
	}
	if err := l.store(b); err != nil {
		l.fail(b, err)
		return
	}
	last := kept[len(kept)-1].pos
	l.mu.Lock()
	l.durable = last
	l.records += int64(len(kept))
	l.seg.size, l.seg.last = l.seg.written, last
	l.mu.Unlock()
	l.m.records.Add(float64(len(kept)))
	l.m.bytes.Add(float64(b.bytes))
	l.finish(b, nil)
}

func (l *Log) store(b *batch) error {
	first := b.entries[0].pos
	if l.seg.last != 0 && l.seg.written >= l.o.SegmentBytes || first >= l.seg.first+span/2 {
		if err := l.newSegment(first); err != nil {
			return err
		}
	}
	if err := l.write(b); err != nil {
		return fmt.Errorf("cannot write segment %q: %w", l.seg.path, err)
	}
	close(b.written)
	l.lastSync = time.Now()
	if l.o.NoSync {
		return nil
	}
	if err := l.seg.f.Sync(); err != nil {
		return fmt.Errorf("cannot sync segment %q: %w", l.seg.path, err)
	}
	l.m.syncSeconds.Observe(time.Since(l.lastSync).Seconds())
	l.mu.Lock()
	l.syncs++
	l.mu.Unlock()
	return nil
}

func (l *Log) write(b *batch) error {
	l.buf = l.buf[:0]
	for _, t := range b.entries {
		l.buf = t.rec.appendHead(l.buf, l.seg.salt, t.pos)
		if len(l.buf)+len(t.rec.Payload) <= writeBytes {
			l.buf = append(l.buf, t.rec.Payload...)
			continue
		}
		if err := l.flush(); err != nil {
			return err
		}
		if len(t.rec.Payload) <= writeBytes/2 {
			l.buf = append(l.buf, t.rec.Payload...)
			continue
		}
		n, err := l.seg.f.Write(t.rec.Payload)
		l.seg.written += int64(n)
		if err != nil {
			return err
		}
	}
	return l.flush()
}

func (l *Log) flush() error {
	n, err := l.seg.f.Write(l.buf)
	l.seg.written += int64(n)
	l.buf = l.buf[:0]
	return err
}

// finish answers everybody in a batch.
func (l *Log) finish(b *batch, err error) {
	l.mu.Lock()
	l.queued -= b.bytes
	l.mu.Unlock()
	b.err = err
	select {
	case <-b.written:
	default:
		close(b.written)
	}
	close(b.done)
}

// fail gives the segment up: what it held before stays, nothing more goes in.
// Everybody who waits is told to come again.
func (l *Log) fail(b *batch, cause error) {
	l.m.failures.Inc()
	s := l.seg
	l.seg = nil
	if s != nil {
		// Unacknowledged records would only be doubled by the sender's retry. That
		// this may fail as well does no harm.
		terr := s.f.Truncate(s.size)
		if cerr := errors.Join(terr, s.f.Close()); cerr != nil {
			l.o.Logger.Debug("cannot tidy up a failed segment", "segment", s.path, "error", cerr)
		}
	}
	l.refuse(cause)
	l.o.Logger.Error("ingest log is read-only", "error", cause, "retry_in", l.probe)
	l.mu.Lock()
	err := l.overload()
	waiting := l.open
	waiting.taken = true
	l.open = newBatch()
	l.mu.Unlock()
	l.finish(b, err)
	l.finish(waiting, err)
}

func (l *Log) refuse(cause error) {
	l.probe = max(l.probe, minProbe)
	l.giveReserve(cause)
	l.mu.Lock()
	l.readOnly = cause
	l.retryAt = l.o.Now().Add(l.probe)
	l.mu.Unlock()
}

// begin starts a first segment, at Open or after a failure: from then on
// requests are taken. The reserve is made first, as a proof of room.
func (l *Log) begin() {
	l.mu.Lock()
	first, was := l.next, l.readOnly
	l.mu.Unlock()
	err := l.holdReserve()
	if err == nil {
		err = l.newSegment(first)
	}
	if err != nil {
		if was == nil {
			l.o.Logger.Error("ingest log is read-only", "error", err, "retry_in", l.probe)
		}
		l.refuse(err)
		return
	}
	l.probe = minProbe
	l.mu.Lock()
	l.readOnly = nil
	l.mu.Unlock()
	if was != nil {
		l.o.Logger.Info("ingest log is written again", "segment", l.seg.path)
	}
	l.dropEmpty()
}

// newSegment seals the active segment and begins another.
func (l *Log) newSegment(first model.Position) error {
	s, err := createSegment(l.o.FS, l.o.Dir, first)
	if err != nil {
		return fmt.Errorf("cannot begin segment %q: %w", segmentName(first), err)
	}
	if l.seg != nil {
		if err := l.seg.f.Close(); err != nil {
			l.o.Logger.Warn("cannot close a synced segment", "segment", l.seg.path, "error", err)
		}
	}
	l.seg = s
	l.mu.Lock()
	l.segments = append(l.segments, s.segment)
	l.limit = first + span
	l.rotate = false
	l.mu.Unlock()
	return nil
}

// maybeRotate begins a new segment when TrimBefore asked for it.
func (l *Log) maybeRotate() {
	l.mu.Lock()
	wanted, first := l.rotate && len(l.open.entries) == 0, l.next
	l.rotate = l.rotate && !wanted
	l.mu.Unlock()
	if !wanted || l.seg.last == 0 {
		return
	}
	if err := l.newSegment(first); err != nil {
		l.o.Logger.Warn("cannot begin a new segment; going on with the old one", "error", err)
	}
}
