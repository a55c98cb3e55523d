package logql

import (
	"slices"

	"braid/pkg/predicate"
)

// reads is what a pipeline and the aggregation behind it look at: the source
// need not hand over more, and parsers need not make more.
type reads struct {
	all   bool // every label
	body  bool
	names map[string]bool // as written
}

func (r *reads) add(names ...string) {
	for _, n := range names {
		r.names[n] = true
	}
}

// readsOf collects what stages and labels read.
func readsOf(matchers []*Matcher, stages []Stage) *reads {
	r := &reads{names: map[string]bool{}}
	for _, m := range matchers {
		r.add(m.Name)
	}
	for _, s := range stages {
		r.stage(s)
	}
	return r
}

func (r *reads) stage(s Stage) {
	switch s := s.(type) {
	case *LineFilter, *JSONParser, *LogfmtParser, *Unpack, *RegexpParser, *PatternParser, *Decolorize:
		r.body = true
	case *LabelFilter:
		r.cond(s.Cond)
	case *LineFormat:
		r.body = true
		r.template(s.tmpl)
	case *LabelFormat:
		for _, it := range s.Items {
			if it.tmpl != nil {
				r.body = true
				r.template(it.tmpl)
			} else {
				r.add(it.Src)
			}
		}
	case *Keep:
		r.items(s.Items)
	case *Drop:
		r.items(s.Items)
	case *Distinct:
		r.add(s.Labels...)
	}
}

func (r *reads) items(items []LabelItem) {
	for _, it := range items {
		if it.Matcher != nil {
			r.add(it.Name)
		}
	}
}

func (r *reads) cond(c Cond) {
	switch c := c.(type) {
	case *CondAnd:
		r.cond(c.Left)
		r.cond(c.Right)
	case *CondOr:
		r.cond(c.Left)
		r.cond(c.Right)
	case CondString:
		r.add(c.Name)
	case *CondNumber:
		r.add(c.Name)
	case *CondIP:
		r.add(c.Name)
	}
}

func (r *reads) template(t *template) {
	r.all = r.all || t.all
	for i := range t.refs {
		r.add(t.refs[i].name)
	}
}

// project returns the fields to ask the source for, nil for all.
func (r *reads) project() []predicate.Field {
	if r.all {
		return nil
	}
	out := []predicate.Field{}
	add := func(fields ...predicate.Field) {
		for _, f := range fields {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	if r.body {
		add(predicate.Intrinsic(predicate.Body))
	}
	for n := range r.names {
		ref := refOf(n)
		add(ref.chain...)
		// A parser asks for the label in its own spelling whether it is taken.
		add(predicate.Field{Scope: predicate.ScopeAny, Name: ref.under, Underscored: true})
	}
	slices.SortFunc(out, func(a, b predicate.Field) int {
		if a.Scope != b.Scope {
			return int(b.Scope) - int(a.Scope)
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// wanted returns the labels that parsers must make, nil for all.
func (r *reads) wanted() map[string]bool {
	if r.all {
		return nil
	}
	out := map[string]bool{}
	for n := range r.names {
		under := predicate.Underscore(n)
		out[under] = true
	}
	return out
}

func cutExtracted(name string) (string, bool) {
	const suffix = "_extracted"
	if len(name) > len(suffix) && name[len(name)-len(suffix):] == suffix {
		return name[:len(name)-len(suffix)], true
	}
	return "", false
}

// readsOfRange is what a range function over rows reads. Series that keep all
// their labels need every parsed one.
func readsOfRange(r *RangeAgg, needs *rangeNeeds, matchers []*Matcher, stages []Stage) *reads {
	out := readsOf(matchers, stages)
	names, grouped := needs.by(r)
	out.add(names...)
	if !grouped {
		for _, s := range stages {
			switch s.(type) {
			case *JSONParser, *LogfmtParser, *Unpack, *RegexpParser, *PatternParser, *LabelFormat, *Keep:
				out.all = true
			}
		}
	}
	if r.Op == opBytes || r.Op == opBytesRate {
		out.body = true
	}
	if r.Unwrap != nil {
		out.add(r.Unwrap.Label)
		for _, s := range r.Unwrap.After {
			out.stage(s)
		}
	}
	out.add("__preserve_error__")
	// user_extracted is what a parser makes of user when that is taken.
	for n := range out.names {
		if base, ok := cutExtracted(predicate.Underscore(n)); ok {
			out.names[base] = true
		}
	}
	return out
}
