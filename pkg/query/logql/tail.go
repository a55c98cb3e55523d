package logql

import "braid/pkg/model"

// Tailer runs a log query over records as they come. It belongs to one
// goroutine.
type Tailer struct {
	pipe *pipeline
	sent map[sentKey]int
}

// sentKey tells records apart that were sent already.
type sentKey struct {
	time int64
	line string
}

// NewTailer prepares a log query.
func NewTailer(s *Selection) (*Tailer, error) {
	pipe, err := newPipeline(s.Matchers, s.Stages)
	if err != nil {
		return nil, err
	}
	return &Tailer{pipe: pipe, sent: map[sentKey]int{}}, nil
}

// Sent notes entries that the client has from the store, so that Take leaves
// them out when they come again.
func (t *Tailer) Sent(s *Stream) {
	for _, e := range s.Entries {
		t.sent[sentKey{e.Time, e.Line}]++
	}
}

// Take returns the entries of a batch that answer, in order of arrival.
func (t *Tailer) Take(rows []model.LogRow) []Stream {
	c := newCollector(Params{Limit: len(rows) + 1})
	for i := range rows {
		e, ok := t.pipe.run(&rows[i])
		if !ok {
			continue
		}
		if len(t.sent) > 0 {
			k := sentKey{rows[i].Time, e.line}
			if n := t.sent[k]; n > 0 {
				if t.sent[k] = n - 1; n == 1 {
					delete(t.sent, k)
				}
				continue
			}
		}
		c.add(e)
	}
	return c.streams
}
