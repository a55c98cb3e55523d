package ingest

import (
	"fmt"
	"sync"
	"time"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// budget is the memory that requests in flight may hold, shared fairly: a
// tenant may hold no more than what is still free. One tenant alone gets half,
// two get a third each, and a newcomer always finds room.
type budget struct {
	total int64

	mu sync.Mutex
	// used and byTenant are guarded by mu.
	used     int64
	byTenant map[tenant.ID]int64
}

func newBudget(total int64) *budget {
	return &budget{total: total, byTenant: map[tenant.ID]int64{}}
}

// lease is what one request holds of the budget. Not safe for concurrent use.
type lease struct {
	b      *budget
	tenant tenant.ID
	held   int64
}

func (b *budget) lease(t tenant.ID) *lease { return &lease{b: b, tenant: t} }

// grow takes n more bytes, or says how the sender should wait.
func (l *lease) grow(n int64) error {
	b := l.b
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.total - b.used
	if n > free {
		return &model.OverloadError{Reason: "the memory for requests in flight is used up; try again later", RetryAfter: time.Second}
	}
	if own := b.byTenant[l.tenant]; own > 0 && own+n > free {
		reason := fmt.Sprintf("tenant %q has its share of the memory for requests in flight; send fewer requests at once", l.tenant)
		return &model.OverloadError{Reason: reason, RetryAfter: time.Second, Tenant: true}
	}
	b.used += n
	b.byTenant[l.tenant] += n
	l.held += n
	return nil
}

// release gives everything back; a second call does nothing.
func (l *lease) release() {
	b := l.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= l.held
	if b.byTenant[l.tenant] -= l.held; b.byTenant[l.tenant] <= 0 {
		delete(b.byTenant, l.tenant)
	}
	l.held = 0
}

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
