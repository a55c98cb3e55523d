package ingest

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// rates holds one token bucket of bytes a tenant, for tenants with a limit.
type rates struct {
	limits func(tenant.ID) Limits

	mu      sync.Mutex
	buckets map[tenant.ID]*rate.Limiter // guarded by mu
}

// take takes n bytes from the tenant's bucket, or says when they will be there.
func (r *rates) take(t tenant.ID, n int, now time.Time) error {
	l := r.limits(t).withDefaults()
	if l.BytesPerSecond >= unlimited {
		return nil
	}
	burst := min(l.BurstBytes, 1<<40)
	r.mu.Lock()
	b, ok := r.buckets[t]
	if !ok {
		if r.buckets == nil {
			r.buckets = map[tenant.ID]*rate.Limiter{}
		}
		b = rate.NewLimiter(rate.Limit(l.BytesPerSecond), burst)
		r.buckets[t] = b
	}
	r.mu.Unlock()
	if b.Limit() != rate.Limit(l.BytesPerSecond) || b.Burst() != burst {
		b.SetLimitAt(now, rate.Limit(l.BytesPerSecond))
		b.SetBurstAt(now, burst)
	}
	if n > burst {
		return &TooLargeError{What: fmt.Sprintf("the request of tenant %q, measured by its burst_bytes,", t), Limit: burst}
	}
	res := b.ReserveN(now, n)
	if wait := res.DelayFrom(now); wait > 0 {
		res.CancelAt(now)
		reason := fmt.Sprintf("tenant %q sends more than its limit of %.0f bytes a second", t, l.BytesPerSecond)
		return &model.OverloadError{Reason: reason, RetryAfter: wait, Tenant: true}
	}
	return nil
}
