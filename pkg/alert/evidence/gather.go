package evidence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"braid/pkg/model"
)

// before is how much of the time before an alert became pending its evidence
// covers: the usual window of a rate.
const before = 5 * time.Minute

func questionOf(a *Alert) Question {
	from := a.ActiveAt
	if from.IsZero() || from.After(a.FiredAt) {
		from = a.FiredAt
	}
	// An alert that has been pending for days is explained by its last hour.
	if oldest := a.FiredAt.Add(-time.Hour); from.Before(oldest) {
		from = oldest
	}
	return Question{Tenant: a.Tenant, Expr: a.Expr, Name: a.Name(), Series: a.Series, Value: a.Value,
		Range: model.TimeRange{Start: from.Add(-before).UnixNano(), End: a.FiredAt.UnixNano() + 1}}
}

// gather asks everything at once and keeps what came in time.
func (k *Keeper) gather(ctx context.Context, a *Alert) *Pack {
	started := k.o.Now()
	q := questionOf(a)
	p := &Pack{Fingerprint: a.Fingerprint(), From: time.Unix(0, q.Range.Start).UTC(), To: time.Unix(0, q.Range.End).UTC(),
		Values: []Series{}, Requests: []Request{}, Logs: []Line{}, Different: []Difference{}, Runbook: a.Annotations["runbook_url"]}
	var mu sync.Mutex // guards p while askers run
	missing := func(what string, err error) {
		if err == nil {
			return
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("no answer in time")
		}
		mu.Lock()
		defer mu.Unlock()
		p.Missing = append(p.Missing, what+": "+err.Error())
	}
	var wg sync.WaitGroup
	ask := func(what string, f func() error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			missing(what, guard(f))
		}()
	}
	ask("values", func() error {
		v, err := k.o.Source.Values(ctx, q)
		mu.Lock()
		defer mu.Unlock()
		p.Values = append(p.Values, v...)
		return err
	})
	found := make(chan []Request, 2)
	ask("requests", func() error {
		var rs []Request
		defer func() { found <- rs; found <- rs }()
		var err error
		rs, err = k.o.Source.Requests(ctx, q, requestsOfPack)
		mu.Lock()
		defer mu.Unlock()
		p.Requests = append(p.Requests, rs...)
		return err
	})
	ask("logs", func() error {
		lines, query, err := k.o.Source.Logs(ctx, q, <-found, linesRead)
		mu.Lock()
		defer mu.Unlock()
		p.Logs, p.LogQuery = append(p.Logs, Represent(lines, logsOfPack)...), query
		return err
	})
	ask("differences", func() error {
		d, err := k.o.Source.Different(ctx, q, <-found, differentOfPack)
		mu.Lock()
		defer mu.Unlock()
		p.Different = append(p.Different, d...)
		return err
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		// Askers end with the context; one that does not must not hold the page.
		select {
		case <-done:
		case <-time.After(k.o.Budget / 10):
		}
	}
	mu.Lock()
	defer mu.Unlock()
	out := *p // late askers write to p alone
	out.Requests = append([]Request{}, p.Requests...)
	out.Missing = append([]string(nil), p.Missing...)
	out.Gathered, out.TookNs = k.o.Now().UTC(), k.o.Now().Sub(started).Nanoseconds()
	out.Links = links(k.o.ExternalURL, q, &out)
	return &out
}

// linesRead is how many log lines are looked at to find those that stand for
// all.
const linesRead = 500

// guard turns a panic of an asker into an error: evidence must not stop pages.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a bug: %v", p)
		}
	}()
	return f()
}
