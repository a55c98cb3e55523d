package logql

import (
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// GroupBy groups an aggregation at the source by labels: Fields go into
// predicate.Aggregation.By, and Labels turns a group's key into its labels. A
// label may have several fields (an attribute and its alias), and two labels
// may share one.
type GroupBy struct {
	Fields []predicate.Field
	labels []groupLabel
}

// groupLabel says which of the fields hold a label, in order of preference.
type groupLabel struct {
	name   string
	fields []int
	def    string
}

// NewGroupBy resolves label names.
func NewGroupBy(names []string) *GroupBy {
	g := &GroupBy{}
	index := map[predicate.Field]int{}
	for _, n := range names {
		ref := refOf(n)
		l := groupLabel{name: ref.under, def: ref.def}
		for _, f := range ref.chain {
			at, ok := index[f]
			if !ok {
				at = len(g.Fields)
				index[f] = at
				g.Fields = append(g.Fields, f)
			}
			l.fields = append(l.fields, at)
		}
		g.labels = append(g.labels, l)
	}
	return g
}

// Labels returns the labels of a group.
func (g *GroupBy) Labels(key []model.Value) Labels {
	out := make(Labels, 0, len(g.labels))
	for _, l := range g.labels {
		v := l.def
		for _, at := range l.fields {
			if at < len(key) && key[at].Kind() != model.KindEmpty {
				v = key[at].Text()
				break
			}
		}
		out = append(out, Label{l.name, v})
	}
	return sortLabels(out)
}

// Filter returns what the source can select for a log query: every row that
// the query lets through satisfies it.
func Filter(s *Selection) predicate.Expr { return planSelection(s).filter }

// ExactFilter returns a condition that selects exactly the rows of a log
// query; ok is false when there is none, because of a parser or a comparison
// of durations, sizes or addresses.
func ExactFilter(s *Selection) (e predicate.Expr, ok bool) {
	p := planSelection(s)
	return p.strict, p.strict != nil
}
