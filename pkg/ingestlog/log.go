package ingestlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"braid/internal/vfs"
	"braid/pkg/model"
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("ingest log is closed")

// Log is an open ingest log. Safe for concurrent use.
type Log struct {
	o       Options
	m       *metrics
	lock    io.Closer
	wake    chan struct{} // something was queued or asked for
	closing chan struct{}
	stopped chan struct{}

	// The writer's own; no lock.
	seg      *active // nil while read-only
	lastSync time.Time
	probe    time.Duration
	buf      []byte

	mu       sync.Mutex // guards all below
	next     model.Position
	limit    model.Position // positions from here on need a newer segment
	durable  model.Position
	open     *batch
	queued   int64 // bytes taken in and not yet done with
	segments []*segment
	readOnly error     // why nothing is accepted, nil when it is
	retryAt  time.Time // of the next try to write
	rotate   bool      // seal the active segment when idle, so that it can be trimmed
	closed   bool
	syncs    int64
	records  int64
	damaged  int64
}

// batch are the requests of one sync.
type batch struct {
	entries []*Ticket
	bytes   int64
	taken   bool          // by the writer; guarded by Log.mu
	written chan struct{} // closed when payloads are no longer looked at
	done    chan struct{}
	err     error // set before done is closed
}

func newBatch() *batch { return &batch{written: make(chan struct{}), done: make(chan struct{})} }

// Ticket is a request on its way to the disk.
type Ticket struct {
	l     *Log
	batch *batch
	pos   model.Position
	rec   *Record // nil when withdrawn
}

// Open opens or makes the log in Options.Dir. It reads no records: Replay does.
// It fails when another process has the folder or a segment is of another
// version. A disk that cannot be written does not fail it: the log is then
// read-only until it can (Stats tells).
func Open(o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := vfs.MkdirAllDurable(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("cannot open ingest log %q: %w", o.Dir, err)
	}
	lock, err := o.FS.Lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot open ingest log %q: %w; stop the other process or give this one another data folder", o.Dir, err)
	}
	segments, err := listSegments(o.FS, o.Dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open ingest log %q: %w", o.Dir, err), lock.Close())
	}
	l := &Log{
		o: o, lock: lock, segments: segments, next: 1, open: newBatch(), probe: minProbe,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	if n := len(segments); n > 0 {
		l.next = segments[n-1].first + span
	}
	l.next = max(l.next, o.After+1)
	if l.m, err = newMetrics(l); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open ingest log %q: %w", o.Dir, err), lock.Close())
	}
	l.begin()
	go l.run()
	return l, nil
}

// Append numbers a request and queues it. The record and its payload must not
// change until Wait has returned. It fails with *model.OverloadError when the
// log cannot take it now, with model.ErrInvalid when it never could.
func (l *Log) Append(ctx context.Context, r *Record) (*Ticket, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.check(l.o.MaxPayloadBytes); err != nil {
		return nil, err
	}
	size := r.size()
	l.mu.Lock()
	if err := l.refusal(size); err != nil {
		l.mu.Unlock()
		l.m.refused.Inc()
		return nil, err
	}
	t := &Ticket{l: l, batch: l.open, pos: l.next, rec: r}
	l.next++
	l.open.entries = append(l.open.entries, t)
	l.open.bytes += size
	l.queued += size
	l.mu.Unlock()
	l.signal()
	return t, nil
}

// refusal says why a request cannot be taken now; l.mu is held.
func (l *Log) refusal(size int64) error {
	switch {
	case l.closed:
		return ErrClosed
	case l.readOnly != nil:
		return l.overload()
	case l.queued > 0 && l.queued+size > l.o.MaxQueueBytes:
		return &model.OverloadError{Reason: "too many requests wait for the disk of the ingest log", RetryAfter: retryQueue}
	case l.o.MaxBytes > 0 && l.bytes()+l.queued+size > l.o.MaxBytes:
		return &model.OverloadError{Reason: fmt.Sprintf("the ingest log has reached its limit of %d bytes: the stores do not keep up", l.o.MaxBytes), RetryAfter: maxProbe}
	case l.next >= l.limit:
		return &model.OverloadError{Reason: "too many requests wait for a new segment of the ingest log", RetryAfter: retryQueue}
	}
	return nil
}

// overload is the answer while read-only; l.mu is held.
func (l *Log) overload() error {
	wait := max(retryQueue, l.retryAt.Sub(l.o.Now()).Round(time.Millisecond))
	return &model.OverloadError{Reason: "the ingest log cannot be written: " + l.readOnly.Error(), RetryAfter: wait}
}

// bytes of all segments; l.mu is held.
func (l *Log) bytes() int64 {
	var n int64
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Position returns the request's number.
func (t *Ticket) Position() model.Position { return t.pos }

// Wait returns nil when the request is on disk. A *model.OverloadError means
// that it is not known to be: the sender must try again. When the context ends
// first the request may or may not be kept. Once Wait has returned, the record
// and its payload are the caller's again.
func (t *Ticket) Wait(ctx context.Context) error {
	select {
	case <-t.batch.done:
		return t.batch.err
	case <-ctx.Done():
	}
	if t.l.withdraw(t) {
		return ctx.Err()
	}
	<-t.batch.written
	select {
	case <-t.batch.done:
		return t.batch.err
	default:
		return ctx.Err()
	}
}

// withdraw takes a request back that the writer has not yet looked at.
func (l *Log) withdraw(t *Ticket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.batch.taken || t.rec == nil {
		return t.rec == nil
	}
	size := t.rec.size()
	t.rec = nil
	t.batch.bytes -= size
	l.queued -= size
	return true
}

// Close writes what is queued, stops the writer and frees the folder.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closed = true
	l.mu.Unlock()
	close(l.closing)
	<-l.stopped
	var err error
	if l.seg != nil {
		err = l.seg.f.Close()
	}
	l.m.unregister()
	if err = errors.Join(err, l.lock.Close()); err != nil {
		return fmt.Errorf("cannot close ingest log %q: %w", l.o.Dir, err)
	}
	return nil
}
