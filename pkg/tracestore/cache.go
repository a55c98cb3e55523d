package tracestore

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"braid/pkg/model"
)

// sidecarCache holds the sidecars that were used last, within a budget of
// memory. A sidecar put out of it stays whole for those who still use it. Safe
// for concurrent use.
type sidecarCache struct {
	zstd   *zstd.Decoder
	budget int64

	reads, idReads atomic.Int64 // sidecars read from files: whole, and only the ids of their traces

	mu    sync.Mutex // guards what follows
	used  int64
	order *list.List // of *cached, the latest used first
	at    map[*blockReader]*list.Element
}

type cached struct {
	r    *blockReader
	side *sidecar
	size int64
}

func newSidecarCache(budget int64) (*sidecarCache, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxSection))
	if err != nil {
		return nil, err
	}
	return &sidecarCache{zstd: z, budget: budget, order: list.New(), at: map[*blockReader]*list.Element{}}, nil
}

func (c *sidecarCache) get(r *blockReader) (*sidecar, error) {
	c.mu.Lock()
	if e := c.at[r]; e != nil {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*cached).side, nil
	}
	c.mu.Unlock()
	c.reads.Add(1)
	raw, err := r.ReadFile(r.fs, fileSidecar)
	if err != nil {
		return nil, err
	}
	side, err := decodeSidecar(r.Path(fileSidecar), raw, c.zstd)
	if err != nil {
		return nil, err
	}
	c.put(r, side)
	return side, nil
}

// traceIDs returns the ids of a block's traces without taking its sidecar into
// the cache.
func (c *sidecarCache) traceIDs(r *blockReader) ([]model.TraceID, error) {
	c.mu.Lock()
	e := c.at[r]
	c.mu.Unlock()
	if e != nil {
		return e.Value.(*cached).side.traces.ids, nil
	}
	c.idReads.Add(1)
	raw, err := r.ReadFile(r.fs, fileSidecar)
	if err != nil {
		return nil, err
	}
	return decodeTraceIDs(r.Path(fileSidecar), raw, c.zstd)
}

func (c *sidecarCache) put(r *blockReader, side *sidecar) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[r] != nil {
		return
	}
	x := &cached{r, side, side.bytes()}
	c.at[r] = c.order.PushFront(x)
	c.used += x.size
	for c.used > c.budget && c.order.Len() > 1 {
		c.remove(c.order.Back())
	}
}

// remove needs mu.
func (c *sidecarCache) remove(e *list.Element) {
	x := c.order.Remove(e).(*cached)
	delete(c.at, x.r)
	c.used -= x.size
}

func (c *sidecarCache) drop(r *blockReader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.at[r]; e != nil {
		c.remove(e)
	}
}
