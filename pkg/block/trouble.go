package block

import (
	"fmt"
	"sync"

	"braid/pkg/tenant"
)

// Trouble remembers what keeps a store's data from becoming blocks, or blocks
// from being read, so that a store can say how it is. It holds one error a
// tenant. The zero value is ready; it is safe for concurrent use.
type Trouble struct {
	mu      sync.Mutex
	flushes map[tenant.ID]error // that failed last, and have not gone well since
	damaged int
	last    error // why the last damaged block is
}

// Flushed notes how writing a block of a tenant's went.
func (t *Trouble) Flushed(id tenant.ID, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		delete(t.flushes, id)
		return
	}
	if t.flushes == nil {
		t.flushes = map[tenant.ID]error{}
	}
	t.flushes[id] = err
}

// Found notes a damaged block.
func (t *Trouble) Found(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.damaged++
	t.last = err
}

// Flush returns nil, or of how many tenants data does not become a block, and why.
func (t *Trouble) Flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, err := range t.flushes {
		return fmt.Errorf("the data of %d tenants cannot be written as blocks: %w", len(t.flushes), err)
	}
	return nil
}

// Damage returns how many blocks were found damaged since the start, and what is
// wrong with the last of them; nil when none was.
func (t *Trouble) Damage() (blocks int, last error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.damaged, t.last
}
