package logstore

import (
	"container/list"
	"sync"

	"braid/pkg/block"
)

// cache keeps what was decoded of blocks (directories, word indexes) within a
// budget, and lets go of what was used longest ago.
type cache struct {
	budget int64

	mu    sync.Mutex // guards all below
	items map[cacheKey]*list.Element
	order *list.List // most recently used first
	size  int64
}

type cacheKey struct {
	block block.ID
	what  string
}

type cacheItem struct {
	key   cacheKey
	once  sync.Once
	value any
	err   error
	size  int64 // guarded by the cache's mu
	ready bool  // guarded by the cache's mu
}

func newCache(budget int64) *cache {
	return &cache{budget: budget, items: map[cacheKey]*list.Element{}, order: list.New()}
}

// get returns a value, making it if it is not there; callers that ask for the
// same at once wait for one of them. An error is not kept.
func (c *cache) get(k cacheKey, make func() (any, int64, error)) (any, error) {
	c.mu.Lock()
	e, ok := c.items[k]
	if ok {
		c.order.MoveToFront(e)
	} else {
		e = c.order.PushFront(&cacheItem{key: k})
		c.items[k] = e
	}
	c.mu.Unlock()
	it := e.Value.(*cacheItem)
	it.once.Do(func() {
		value, size, err := make()
		c.mu.Lock()
		defer c.mu.Unlock()
		it.value, it.err = value, err
		if c.items[k] != e {
			return // dropped meanwhile
		}
		if err != nil {
			c.remove(e)
			return
		}
		it.size, it.ready = size, true
		c.size += size
		c.shrink(e)
	})
	return it.value, it.err
}

// shrink removes what was used longest ago, but not keep.
func (c *cache) shrink(keep *list.Element) {
	for e := c.order.Back(); e != nil && c.size > c.budget; {
		prev := e.Prev()
		if e != keep && e.Value.(*cacheItem).ready {
			c.remove(e)
		}
		e = prev
	}
}

func (c *cache) remove(e *list.Element) {
	it := e.Value.(*cacheItem)
	c.order.Remove(e)
	delete(c.items, it.key)
	c.size -= it.size
}

// drop forgets a block.
func (c *cache) drop(id block.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*cacheItem).key.block == id {
			c.remove(e)
		}
		e = next
	}
}
