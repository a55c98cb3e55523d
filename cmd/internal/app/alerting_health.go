package app

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"braid/pkg/alert/notify"
	"braid/pkg/tenant"
)

// ruleHealth tells whether every rule of every tenant is evaluated. It names
// none: /health is for everybody, and tenants do not see each other.
func (al *alerting) ruleHealth() partHealth {
	failing, all := 0, 0
	for _, x := range al.all() {
		f, n := x.rules.Failing()
		failing, all = failing+f, all+n
	}
	if failing == 0 {
		return partHealth{Status: "healthy"}
	}
	return partHealth{Status: "degraded", Reason: fmt.Sprintf("%d of %d rules cannot be evaluated", failing, all),
		WayOut: "each tenant's list of rules says which and why: docs/runbooks/rule-evaluation.md; what fires goes on firing meanwhile"}
}

// pages remembers which receivers did not take the last page that was sent to
// them. The zero value is ready; it is safe for concurrent use.
type pages struct {
	mu      sync.Mutex
	failing map[receiver]time.Time // when
}

// pageMemory is how long a page that failed is spoken of: the receiver may be
// configured no more, and then nothing tells that it is well.
const pageMemory = time.Hour

type receiver struct {
	tenant            tenant.ID
	name, integration string
}

func (p *pages) note(t tenant.ID, o notify.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := receiver{t, o.Receiver, o.Integration}
	if o.Err == nil {
		delete(p.failing, k)
		return
	}
	if p.failing == nil {
		p.failing = map[receiver]time.Time{}
	}
	p.failing[k] = o.At
}

func (p *pages) health(now time.Time) partHealth {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.failing, func(_ receiver, at time.Time) bool { return now.Sub(at) > pageMemory })
	if len(p.failing) == 0 {
		return partHealth{Status: "healthy"}
	}
	return partHealth{Status: "degraded", Reason: fmt.Sprintf("%d receivers did not take the last page that was sent to them", len(p.failing)),
		WayOut: "the log and the history of alerts name them and say why: docs/runbooks/cannot-page.md; it is tried again"}
}
