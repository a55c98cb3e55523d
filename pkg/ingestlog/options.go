package ingestlog

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/internal/vfs"
	"braid/pkg/model"
)

// Options of a Log. Only Dir must be set.
type Options struct {
	// Dir is the log's own folder; made if absent.
	Dir string
	// FS defaults to the operating system's.
	FS vfs.FS
	// SegmentBytes begins a new file after so many bytes; default 64 MiB.
	SegmentBytes int64
	// SyncDelay is the least time between two syncs: requests of that time
	// share one. After a pause of that length the sync is immediate. Default
	// 2 ms; negative for none.
	SyncDelay time.Duration
	// NoSync acknowledges what was handed to the kernel: it survives the death
	// of the process but not the loss of power.
	NoSync bool
	// MaxBytes refuses requests while the log is larger, which happens when the
	// stores cannot flush; 0 means no limit.
	MaxBytes int64
	// MaxQueueBytes bounds the payloads that wait for the disk; default 64 MiB.
	MaxQueueBytes int64
	// MaxPayloadBytes refuses larger payloads; default 256 MiB, at most 1 GiB.
	MaxPayloadBytes int
	// ReserveBytes is disk space held by a file and given back when the disk is
	// full, so that the stores can flush and the log be trimmed. Default 16
	// MiB; negative for none.
	ReserveBytes int64
	// After is a position below which none is given out: the greatest that a
	// store's block holds. It matters when the log's folder was lost and the
	// stores' were not.
	After      model.Position
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

const (
	mib = 1 << 20
	// retryQueue is what a sender is told when the queue is full.
	retryQueue = time.Second
	// Pauses between tries to write again.
	minProbe = 100 * time.Millisecond
	maxProbe = 5 * time.Second
)

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("cannot open ingest log: %w: Dir is not set", model.ErrInvalid)
	}
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 * mib
	}
	if o.SyncDelay == 0 {
		o.SyncDelay = 2 * time.Millisecond
	}
	if o.MaxQueueBytes <= 0 {
		o.MaxQueueBytes = 64 * mib
	}
	if o.MaxPayloadBytes <= 0 {
		o.MaxPayloadBytes = 256 * mib
	}
	o.MaxPayloadBytes = min(o.MaxPayloadBytes, maxPayload)
	if o.ReserveBytes == 0 {
		o.ReserveBytes = 16 * mib
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}
