package logql

import "braid/pkg/model"

// processor is a stage at work: it changes the entry and says whether it stays.
type processor interface{ process(e *entry) bool }

// pipeline runs rows through stages. It belongs to one goroutine.
type pipeline struct {
	matchers []*Matcher
	stages   []processor
	e        entry
}

// newPipeline prepares matchers and stages; the matchers given are only those
// that the source has not already applied.
func newPipeline(matchers []*Matcher, stages []Stage) (*pipeline, error) {
	p := &pipeline{matchers: matchers}
	for _, s := range stages {
		proc, err := processorOf(s)
		if err != nil {
			return nil, err
		}
		p.stages = append(p.stages, proc)
	}
	return p, nil
}

func processorOf(s Stage) (processor, error) {
	switch s := s.(type) {
	case *LineFormat:
		b, err := s.tmpl.bind()
		return lineFormat{b}, err
	case *LabelFormat:
		f := labelFormat{items: s.Items, tmpls: make([]*boundTemplate, len(s.Items))}
		for i := range s.Items {
			if s.Items[i].tmpl == nil {
				continue
			}
			b, err := s.Items[i].tmpl.bind()
			if err != nil {
				return nil, err
			}
			f.tmpls[i] = b
		}
		return f, nil
	case *Distinct:
		return &distinctState{refs: s.refs, seen: map[string]struct{}{}}, nil
	}
	return s.(processor), nil
}

// run passes one row through; the entry is valid until the next call.
func (p *pipeline) run(row *model.LogRow) (*entry, bool) {
	p.e.reset(row)
	for _, m := range p.matchers {
		if !p.e.matches(m) {
			return nil, false
		}
	}
	for _, s := range p.stages {
		if !s.process(&p.e) {
			return nil, false
		}
	}
	return &p.e, true
}

// distinctState is what a distinct stage has let through so far.
type distinctState struct {
	refs []labelRef
	seen map[string]struct{}
	key  []byte
}

// maxDistinct bounds the memory of distinct; beyond it entries pass unseen
// combinations no longer.
const maxDistinct = 1 << 20

func (d *distinctState) process(e *entry) bool {
	d.key = d.key[:0]
	for i := range d.refs {
		d.key = append(append(d.key, e.get(&d.refs[i])...), 0xff)
	}
	if _, ok := d.seen[string(d.key)]; ok {
		return false
	}
	if len(d.seen) >= maxDistinct {
		return false
	}
	d.seen[string(d.key)] = struct{}{}
	return true
}

// Counter tries rows against a log query without making results of them. It
// belongs to one goroutine.
type Counter struct{ pipe *pipeline }

// NewCounter prepares a log query.
func NewCounter(s *Selection) (*Counter, error) {
	p, err := newPipeline(s.Matchers, s.Stages)
	return &Counter{p}, err
}

// Passes reports whether the query lets a row through.
func (c *Counter) Passes(row *model.LogRow) bool {
	_, ok := c.pipe.run(row)
	return ok
}
