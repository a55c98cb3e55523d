package logstore

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Options of a Store. Only Dir is needed: the zero value of the others works.
type Options struct {
	// Dir is the store's own folder.
	Dir    string
	FS     vfs.FS
	Logger *slog.Logger
	// Registerer takes the store's metrics; nil: they are kept but not shown.
	Registerer prometheus.Registerer
	// KeySpec returns which attributes carry correlation ids, now.
	KeySpec func() *model.KeySpec
	// Limits returns a tenant's limits, now.
	Limits func(tenant.ID) Limits
	// Retention drops blocks whose newest record is older; 0 keeps them.
	Retention time.Duration
	// RetentionBytes drops a tenant's oldest blocks beyond this total; 0: no bound.
	RetentionBytes int64

	// HeadMaxRows, HeadMaxBytes and HeadMaxAge say when a head becomes a block;
	// defaults 131,072 rows, 128 MiB and 5 minutes.
	HeadMaxRows  int
	HeadMaxBytes int64
	HeadMaxAge   time.Duration
	// MemoryBudget bounds what is kept of blocks in memory between queries (page
	// directories, dictionaries, word lists) and, as much again, what one query
	// keeps; default 128 MiB. Half as much more goes to the ids of a tenant's
	// blocks, before they are put into files.
	MemoryBudget int64
	// Compaction says which blocks are worth merging; by default blocks of full
	// heads are left alone.
	Compaction block.Compaction
	// Maintenance is how often age, retention and merges are looked at; default
	// 5 s. Negative: never, the caller calls Maintain.
	Maintenance time.Duration
	// Now is the clock.
	Now func() time.Time

	pageRows, chunkRows int // smaller ones are for tests
}

// Limits of one tenant. Zero fields mean the default.
type Limits struct {
	// MaxRecordBytes bounds body and attribute texts: longer ones are cut, with a
	// mark; default 256 KiB.
	MaxRecordBytes int
	// MaxFields bounds the attributes of a record: more are left out and counted
	// in the record's dropped attributes; default 512.
	MaxFields int
	// BytesPerSecond refuses requests of a tenant that sends more, after a
	// second's burst; 0: no bound.
	BytesPerSecond float64
	// Retention and RetentionBytes stand in for those of the Options.
	Retention      time.Duration
	RetentionBytes int64
}

func (l Limits) withDefaults() Limits {
	if l.MaxRecordBytes <= 0 {
		l.MaxRecordBytes = 256 << 10
	}
	if l.MaxFields <= 0 {
		l.MaxFields = 512
	}
	return l
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("cannot open log store: no Dir given")
	}
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.KeySpec == nil {
		spec := model.NewKeySpec(nil)
		o.KeySpec = func() *model.KeySpec { return spec }
	}
	if o.Limits == nil {
		o.Limits = func(tenant.ID) Limits { return Limits{} }
	}
	if o.HeadMaxRows <= 0 {
		o.HeadMaxRows = 131_072
	}
	if o.HeadMaxBytes <= 0 {
		o.HeadMaxBytes = 128 << 20
	}
	if o.HeadMaxAge <= 0 {
		o.HeadMaxAge = 5 * time.Minute
	}
	if o.MemoryBudget <= 0 {
		o.MemoryBudget = 128 << 20
	}
	if o.Compaction.MaxRows <= 0 {
		o.Compaction.MaxRows = int64(2*o.HeadMaxRows - 1)
	}
	if o.Maintenance == 0 {
		o.Maintenance = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = block.SteadyClock()
	}
	if o.pageRows <= 0 {
		o.pageRows = defaultPageRows
	}
	if o.chunkRows <= 0 {
		o.chunkRows = defaultChunkRows
	}
	return o, nil
}
