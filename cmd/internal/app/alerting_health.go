package app

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"braid/pkg/alert/notify"
	"braid/pkg/tenant"
)

// ruleHealth tells whether every rule of every tenant is evaluated.
func (al *alerting) ruleHealth() partHealth {
	all, failing, first := 0, 0, ""
	for _, x := range al.all() {
		for _, s := range x.rules.States() {
			all++
			if s.LastError != "" {
				if failing++; first == "" {
					first = fmt.Sprintf("%s of group %q in %s: %s", s.Name, s.Group, s.File, s.LastError)
				}
			}
		}
	}
	if failing == 0 {
		return partHealth{Status: "healthy"}
	}
	return partHealth{Status: "degraded", Reason: fmt.Sprintf("%d of %d rules cannot be evaluated, the first: %s", failing, all, first),
		WayOut: "docs/runbooks/rule-evaluation.md; an alert that fires goes on firing meanwhile"}
}

// pages remembers which receivers did not take the last page that was sent to
// them. The zero value is ready; it is safe for concurrent use.
type pages struct {
	mu      sync.Mutex
	failing map[receiver]notify.Outcome
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
		p.failing = map[receiver]notify.Outcome{}
	}
	p.failing[k] = o
}

func (p *pages) health(now time.Time) partHealth {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.failing, func(_ receiver, o notify.Outcome) bool { return now.Sub(o.At) > pageMemory })
	for k, o := range p.failing {
		return partHealth{Status: "degraded",
			Reason: fmt.Sprintf("%d receivers did not take their last page, among them %s of %q, tenant %q: %v", len(p.failing), k.integration, k.name, k.tenant, o.Err),
			WayOut: "docs/runbooks/cannot-page.md; it is tried again"}
	}
	return partHealth{Status: "healthy"}
}
