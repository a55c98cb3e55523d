package tracestore

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Options configure a Store. Only Dir must be set.
type Options struct {
	// Dir holds a folder a tenant, and in it a folder a block.
	Dir        string
	FS         vfs.FS                // default: the operating system's
	Logger     *slog.Logger          // default: discards
	Registerer prometheus.Registerer // default: none
	// KeySpec returns which attributes carry correlation ids. It is asked at
	// each flush and query. Default: model.DefaultKeyAttributes.
	KeySpec func() *model.KeySpec
	// Limits returns a tenant's limits. Default: the zero Limits.
	Limits func(tenant.ID) Limits
	// Retention drops blocks whose newest span is older; 0 keeps them.
	Retention time.Duration
	// RetentionBytes drops a tenant's oldest blocks beyond so many bytes on
	// disk; 0 keeps them.
	RetentionBytes int64
	// HeadMaxSpans is how many spans a tenant has in memory before they become
	// a block; default 131,072.
	HeadMaxSpans int
	// HeadMaxAge is how long a span stays in memory at the most; default 10 min.
	HeadMaxAge time.Duration
	// MemoryBudget, in bytes, is what the heads of all tenants (one half: the
	// largest are flushed early) and cached sidecars (the other) aim to stay
	// below; default 256 MiB. Half as much more goes to the ids of a tenant's
	// blocks, before they are put into files. A tenant of which two full heads wait for the disk
	// is told to try again.
	MemoryBudget int64
	// BlockMaxSpans bounds merged blocks; default 1,048,576.
	BlockMaxSpans int
	// Observe, when set, is called for every request whose spans the store holds
	// once the call is over: under the tenant's lock, before queries see them. What
	// it returns (nil: nothing is to be told) is then called with each span that
	// was new to the head, or, when a replay brings a position that a block has,
	// with each span of it; at the end with nil. Its arguments must not be kept.
	Observe func(t tenant.ID, pos model.Position) Observer
	// Now is the clock; default time.Now.
	Now func() time.Time
	// BeforeMerge, when set, is called when the blocks of a merge have been chosen:
	// the merge will drop the retries among their spans.
	BeforeMerge func(context.Context, tenant.ID)
	// Manual leaves flushes by age, merges and retention to calls of Flush and
	// Maintain: for tests.
	Manual bool
}

// Limits of one tenant. Zero fields do not limit.
type Limits struct {
	// MaxSpanBytes rejects spans larger than this; default 1 MiB.
	MaxSpanBytes int
	// Retention and RetentionBytes override the store's when they are set.
	Retention      time.Duration
	RetentionBytes int64
}

const defaultMaxSpanBytes = 1 << 20

func (o Options) withDefaults() Options {
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
	if o.HeadMaxSpans <= 0 {
		o.HeadMaxSpans = 128 << 10
	}
	if o.HeadMaxAge <= 0 {
		o.HeadMaxAge = 10 * time.Minute
	}
	if o.MemoryBudget <= 0 {
		o.MemoryBudget = 256 << 20
	}
	if o.BlockMaxSpans <= 0 {
		o.BlockMaxSpans = 1 << 20
	}
	o.BlockMaxSpans = min(o.BlockMaxSpans, maxBlockRows)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Observer is told of a span and of who sent it. Spans of which like is equal,
// and not 0, have the same resource, name, kind and status.
type Observer = func(r *model.Resource, s *model.Span, like uint64)
