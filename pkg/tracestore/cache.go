package tracestore

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"braid/pkg/model"
)

// sidecarCache holds sidecars within a budget of memory. What is put out is
// drawn by lot, and spared once when it was used since it was last drawn: a
// question about every block goes through all of them in turn, and of a few more
// than there is room for, a cache that drops the longest unused would always
// have dropped the next. A sidecar put out stays whole for those who still use
// it. Safe for concurrent use.
type sidecarCache struct {
	zstd   *zstd.Decoder
	budget int64

	reads, idReads atomic.Int64 // sidecars read from files: whole, and only the ids of their traces

	mu   sync.Mutex // guards what follows
	used int64
	all  []*cached // in no order
	at   map[*blockReader]*cached
	lot  *rand.Rand
}

type cached struct {
	r     *blockReader
	side  *sidecar
	size  int64
	place int  // in all
	fresh bool // used since it was last drawn
}

func newSidecarCache(budget int64) (*sidecarCache, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxSection))
	if err != nil {
		return nil, err
	}
	return &sidecarCache{zstd: z, budget: budget, at: map[*blockReader]*cached{}, lot: rand.New(rand.NewPCG(1, 2))}, nil
}

// held returns a block's sidecar if it is in memory, else nil.
func (c *sidecarCache) held(r *blockReader) *sidecar {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.at[r]
	if x == nil {
		return nil
	}
	x.fresh = true
	return x.side
}

func (c *sidecarCache) get(r *blockReader) (*sidecar, error) {
	if side := c.held(r); side != nil {
		return side, nil
	}
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
	x := c.at[r]
	c.mu.Unlock()
	if x != nil {
		return x.side.traces.ids, nil
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
	for size := side.bytes(); len(c.all) > 0 && c.used+size > c.budget; {
		if x := c.all[c.lot.IntN(len(c.all))]; x.fresh {
			x.fresh = false
		} else {
			c.remove(x)
		}
	}
	x := &cached{r: r, side: side, size: side.bytes(), place: len(c.all)}
	c.at[r] = x
	c.all = append(c.all, x)
	c.used += x.size
}

// remove needs mu.
func (c *sidecarCache) remove(x *cached) {
	last := len(c.all) - 1
	c.all[last].place = x.place
	c.all[x.place] = c.all[last]
	c.all[last] = nil
	c.all = c.all[:last]
	delete(c.at, x.r)
	c.used -= x.size
}

func (c *sidecarCache) drop(r *blockReader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.at[r]; x != nil {
		c.remove(x)
	}
}
