package evidence

import (
	"time"

	"braid/pkg/alert/journal"
	"braid/pkg/tenant"
)

// Episode is one time that an alert was there: pending, firing, resolved.
type Episode struct {
	Tenant      tenant.ID         `json:"tenant"`
	Fingerprint string            `json:"fingerprint"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Expr        string            `json:"expr"`
	Group       string            `json:"group,omitempty"`
	File        string            `json:"file,omitempty"`
	Value       float64           `json:"value"`
	PendingAt   time.Time         `json:"pendingAt"`
	FiredAt     time.Time         `json:"firedAt"`
	ResolvedAt  time.Time         `json:"resolvedAt,omitzero"`
	// Lost: nobody evaluated the alert any more; when it ended is not known.
	Lost        bool   `json:"lost,omitempty"`
	Pages       []Page `json:"pages,omitempty"`
	HasEvidence bool   `json:"hasEvidence"`
	// Notes are the annotations that carry the evidence.
	Notes map[string]string `json:"notes,omitempty"`

	pack     journal.Position
	kept     []string         // ids of the pack's requests
	place    journal.Position // of the newest record of this episode
	rev      uint64           // counts the states that were encoded
	placeRev uint64           // the state that lies at place
	seen     time.Time        // last time that rules spoke of it
	until    time.Time        // ends by itself then
	waiting  *Alert           // queued for gathering, not yet paged
	gathered bool             // gathering has ended, with or without evidence
}

// Page is one notification of an episode.
type Page struct {
	At          time.Time `json:"at"`
	Receiver    string    `json:"receiver"`
	Integration string    `json:"integration"`
	Resolved    bool      `json:"resolved,omitempty"`
	Error       string    `json:"error,omitempty"`
	Attempts    int       `json:"attempts,omitempty"`
}

// maxPages bounds the pages noted on an episode; the first and the latest stay.
const maxPages = 50

func (e *Episode) addPage(p Page) {
	if n := len(e.Pages); n > 0 {
		last := &e.Pages[n-1]
		if last.Error != "" && last.Receiver == p.Receiver && last.Integration == p.Integration && last.Resolved == p.Resolved {
			p.Attempts = max(1, last.Attempts) + 1 // a retry
			*last = p
			return
		}
	}
	if len(e.Pages) >= maxPages {
		e.Pages = append(e.Pages[:1:1], e.Pages[2:]...)
	}
	e.Pages = append(e.Pages, p)
}

// State is pending, firing or resolved.
func (e *Episode) State() string {
	if !e.ResolvedAt.IsZero() {
		return "resolved"
	}
	return "firing"
}

// copy returns what may leave the lock.
func (e *Episode) copy() Episode {
	out := *e
	out.Pages = append([]Page(nil), e.Pages...)
	out.waiting = nil
	return out
}

// record is one line of the journal: an episode as it is now, or a pack.
type record struct {
	Episode *Episode `json:"episode,omitempty"`
	// Rev orders the states of an episode.
	Rev  uint64 `json:"rev,omitempty"`
	Pack *Pack  `json:"pack,omitempty"`
	// Tenant and FiredAt name the pack's episode, beside its fingerprint.
	Tenant  tenant.ID `json:"tenant,omitempty"`
	FiredAt time.Time `json:"firedAt,omitzero"`
}
