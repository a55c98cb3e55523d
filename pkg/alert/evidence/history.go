package evidence

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"braid/pkg/alert/journal"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// HistoryQuery selects episodes; zero fields select all.
type HistoryQuery struct {
	Fingerprint, Name, State string
	From, To                 time.Time // episodes that were there in between
	Limit                    int       // 0 means 100
}

// History returns episodes, newest first.
func (k *Keeper) History(t tenant.ID, q HistoryQuery) []Episode {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Episode
	for i := len(k.episodes) - 1; i >= 0 && len(out) < q.Limit; i-- {
		if e := k.episodes[i]; e.Tenant == t && q.holds(e) {
			out = append(out, e.copy())
		}
	}
	return out
}

func (q *HistoryQuery) holds(e *Episode) bool {
	switch {
	case q.Fingerprint != "" && q.Fingerprint != e.Fingerprint,
		q.Name != "" && q.Name != e.Name,
		q.State != "" && q.State != e.State(),
		!q.To.IsZero() && e.PendingAt.After(q.To),
		!q.From.IsZero() && !e.ResolvedAt.IsZero() && e.ResolvedAt.Before(q.From):
		return false
	}
	return true
}

// Evidence returns the pack of an alert's newest episode, or of the one that
// fired at a time, with the episode. A pack that is still being gathered, or
// was not, is nil. Errors: model.ErrNotFound.
func (k *Keeper) Evidence(t tenant.ID, fingerprint string, fired time.Time) (Episode, *Pack, error) {
	k.mu.Lock()
	var found *Episode
	for i := len(k.episodes) - 1; i >= 0 && found == nil; i-- {
		e := k.episodes[i]
		if e.Tenant == t && e.Fingerprint == fingerprint && (fired.IsZero() || e.FiredAt.Equal(fired)) {
			found = e
		}
	}
	if found == nil {
		k.mu.Unlock()
		return Episode{}, nil, fmt.Errorf("alert %q has not fired in the time that history is kept for: %w", fingerprint, model.ErrNotFound)
	}
	out := found.copy()
	k.mu.Unlock()
	if !out.HasEvidence {
		return out, nil, nil
	}
	b, err := k.journal.Read(out.pack)
	if err != nil {
		return out, nil, fmt.Errorf("cannot read the evidence of alert %q: %w", fingerprint, err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil || r.Pack == nil {
		return out, nil, fmt.Errorf("cannot read the evidence of alert %q: the record holds no evidence", fingerprint)
	}
	return out, r.Pack, nil
}

// keptIDs are the ids of the requests that a pack keeps whole.
func keptIDs(p *Pack) (out []string) {
	for i := range p.Requests {
		r := &p.Requests[i]
		if len(r.Spans) == 0 && len(r.Lines) == 0 {
			continue
		}
		for _, id := range []string{r.TraceID, r.RequestID} {
			if id != "" {
				out = append(out, id)
			}
		}
	}
	return out
}

// Request returns a request that an alert's evidence points at, by its trace id
// or its own id, as it was when the newest such alert fired: stores may have
// dropped it since. Errors: model.ErrNotFound.
func (k *Keeper) Request(t tenant.ID, id string) (Episode, *Request, error) {
	k.mu.Lock()
	fired, fingerprint := time.Time{}, ""
	for i := len(k.episodes) - 1; i >= 0 && fingerprint == ""; i-- {
		if e := k.episodes[i]; e.Tenant == t && slices.Contains(e.kept, id) {
			fired, fingerprint = e.FiredAt, e.Fingerprint
		}
	}
	k.mu.Unlock()
	if id == "" || fingerprint == "" {
		return Episode{}, nil, fmt.Errorf("no alert keeps request %q: %w", id, model.ErrNotFound)
	}
	e, p, err := k.Evidence(t, fingerprint, fired)
	if err != nil {
		return Episode{}, nil, err
	}
	if p != nil {
		for i := range p.Requests {
			if r := &p.Requests[i]; r.TraceID == id || r.RequestID == id {
				return e, r, nil
			}
		}
	}
	return Episode{}, nil, fmt.Errorf("no alert keeps request %q: %w", id, model.ErrNotFound)
}

// Firing returns the alerts that were firing at some time in a range.
func (k *Keeper) Firing(t tenant.ID, r model.TimeRange) []Episode {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Episode
	for _, e := range k.episodes {
		if e.Tenant != t || e.FiredAt.UnixNano() >= r.End || !e.ResolvedAt.IsZero() && e.ResolvedAt.UnixNano() < r.Start {
			continue
		}
		out = append(out, e.copy())
	}
	return out
}

// tidyEvery is how often episodes are looked over.
const tidyEvery = time.Minute

func (k *Keeper) tidy() {
	defer k.wg.Done()
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-tick.C:
			k.Tidy()
		}
	}
}

// Tidy ends episodes that nobody speaks of any more, and forgets old ones. It
// runs by itself every minute.
func (k *Keeper) Tidy() {
	now := k.o.Now()
	var lost []*Episode
	k.mu.Lock()
	for id, e := range k.open {
		if e.waiting == nil && !e.until.IsZero() && now.After(e.until.Add(tidyEvery)) {
			e.ResolvedAt, e.Lost = e.until.UTC(), true
			delete(k.open, id)
			lost = append(lost, e)
		}
	}
	k.mu.Unlock()
	k.save(lost...)
	k.trim()
}

// trim forgets ended episodes by age and number, and drops segments in which
// nothing that is kept begins.
func (k *Keeper) trim() {
	oldest := k.o.Now().Add(-k.o.Retention)
	k.mu.Lock()
	sort.SliceStable(k.episodes, func(i, j int) bool { return k.episodes[i].FiredAt.Before(k.episodes[j].FiredAt) })
	surplus := len(k.episodes) - k.o.MaxEpisodes
	k.episodes = slices.DeleteFunc(k.episodes, func(e *Episode) bool {
		ended := !e.ResolvedAt.IsZero()
		drop := ended && (surplus > 0 || e.ResolvedAt.Before(oldest))
		if drop {
			surplus--
		}
		return drop
	})
	k.mu.Unlock()
	segments, err := k.journal.Segments()
	if err != nil || len(segments) < 2 {
		return
	}
	keep := segments[len(segments)-1]
	if most := int(max(2, k.o.MaxBytes/segmentBytes)); len(segments) > most {
		keep = min(keep, segments[len(segments)-most])
	} else {
		keep = segments[0]
	}
	k.drop(keep, segments[len(segments)-1])
}

// drop forgets the segments before keep, and those that hold nothing needed.
// An open episode whose record would go is written again. The segments from
// newest on may be being written to and stay.
func (k *Keeper) drop(keep, newest uint64) {
	var move []*Episode
	k.mu.Lock()
	needed := k.place()
	for _, e := range k.episodes {
		if e.place.Segment < keep && e.ResolvedAt.IsZero() {
			move = append(move, e)
		}
	}
	k.mu.Unlock()
	k.save(move...)
	keep = min(max(keep, needed), newest)
	k.mu.Lock()
	k.episodes = slices.DeleteFunc(k.episodes, func(e *Episode) bool { return e.place.Segment < keep && !e.ResolvedAt.IsZero() })
	for _, e := range k.episodes {
		if e.pack.Segment < keep && e.pack != (journal.Position{}) {
			e.HasEvidence, e.pack = false, journal.Position{}
		}
	}
	k.mu.Unlock()
	if err := k.journal.DropBefore(keep); err != nil {
		k.o.Logger.Warn("cannot drop old history of alerts", "err", err)
	}
}

// place returns the oldest segment that something kept lies in. Called with mu
// held.
func (k *Keeper) place() uint64 {
	oldest := uint64(math.MaxUint64)
	for _, e := range k.episodes {
		if e.place.Segment > 0 {
			oldest = min(oldest, e.place.Segment)
		}
		if e.pack.Segment > 0 {
			oldest = min(oldest, e.pack.Segment)
		}
	}
	return oldest
}

// finite leaves out what JSON cannot say.
func finite(p *Pack) {
	for i := range p.Values {
		p.Values[i].Points = slices.DeleteFunc(p.Values[i].Points, func(x Point) bool { return math.IsNaN(x.V) || math.IsInf(x.V, 0) })
	}
	for i := range p.Different {
		d := &p.Different[i]
		for _, v := range []*float64{&d.Share, &d.Rest, &d.Score} {
			if math.IsNaN(*v) || math.IsInf(*v, 0) {
				*v = 0
			}
		}
	}
}
