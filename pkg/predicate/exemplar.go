package predicate

import (
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// ExemplarQuery asks for exemplars by series or by correlation id. Range is,
// as everywhere, Unix nanoseconds.
type ExemplarQuery struct {
	Tenant tenant.ID
	Range  model.TimeRange
	// Series are alternative sets of label matchers; an exemplar answers when
	// its series satisfies one of them. Empty means every series.
	Series [][]LabelMatcher
	// Kind and ID, when ID is set, ask for the exemplars of one correlation id
	// (canonical; an empty Kind means any kind).
	Kind, ID string
	Limit    int // 0 means 10,000
	Stats    *model.QueryStats
}

// LabelMatcher is one Prometheus matcher: Op is "=", "!=", "=~" or "!~".
type LabelMatcher struct {
	Name, Op, Value string
}
