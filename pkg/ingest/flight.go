package ingest

import (
	"sync"
	"time"

	"braid/pkg/model"
)

// flight knows the requests between the log and the stores, so that the log is
// never trimmed past one that its store has not taken yet.
type flight struct {
	mu sync.Mutex
	// seen is the greatest position known; lower bounds of the requests under
	// way are by token. Both guarded by mu.
	seen   model.Position
	tokens map[uint64]model.Position
	next   uint64
}

func newFlight() *flight { return &flight{tokens: map[uint64]model.Position{}} }

// enter is called before the log gives a position: it will be above all that
// are known now.
func (f *flight) enter() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	f.tokens[f.next] = f.seen + 1
	return f.next
}

// placed notes the position that the log gave.
func (f *flight) placed(token uint64, pos model.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[token] = pos
	f.seen = max(f.seen, pos)
}

// leave is called when the store has answered for the position.
func (f *flight) leave(token uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, token)
}

// reached notes a position met in a replay.
func (f *flight) reached(pos model.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = max(f.seen, pos)
}

// oldest returns the least position that a request under way may have, or the
// first that nobody has.
func (f *flight) oldest() model.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	least := f.seen + 1
	for _, pos := range f.tokens {
		least = min(least, pos)
	}
	return least
}

// trimLoop trims the log until the pipeline closes.
func (p *Pipeline) trimLoop() {
	defer close(p.trimmed)
	tick := time.NewTicker(p.opts.TrimEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.trim()
		}
	}
}

// trim gives back what no store would need after a crash. The requests under
// way are asked first: one that ends in between is then its store's to name.
func (p *Pipeline) trim() {
	oldest := p.flight.oldest()
	for _, needed := range []func() (model.Position, bool){p.opts.Logs.OldestNeeded, p.opts.Spans.OldestNeeded, p.opts.Metrics.OldestNeeded} {
		if pos, ok := needed(); ok {
			oldest = min(oldest, pos)
		}
	}
	if oldest <= 1 {
		return
	}
	if err := p.opts.Log.TrimBefore(oldest); err != nil {
		p.log.Error("cannot trim the ingest log; it keeps growing", "before", oldest, "err", err)
	}
	p.metrics.trimmedTo.Set(float64(oldest))
}
