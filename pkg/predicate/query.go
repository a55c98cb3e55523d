package predicate

import (
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Order of results.
type Order uint8

// The orders. NewestFirst is by time descending, then arrival descending;
// OldestFirst is its exact reverse. LongestFirst is by duration of the trace.
const (
	NewestFirst  Order = 0
	OldestFirst  Order = 1
	LongestFirst Order = 2
)

// LogQuery asks for log records.
type LogQuery struct {
	Tenant tenant.ID
	Range  model.TimeRange
	Filter Expr // nil means True
	Order  Order
	// Limit stops after so many rows; 0 means no limit.
	Limit int
	// Project names the attributes and intrinsic fields that the caller will
	// read; nil means every one. Time, sequence, ids, severity, resource and
	// scope always come. A source may return more, never less.
	Project []Field
	// Stats, when not nil, learns what the query cost.
	Stats *model.QueryStats
}

// SpanQuery asks for traces by what some of their spans look like.
type SpanQuery struct {
	Tenant tenant.ID
	// Range selects spans by start time. A trace answers when a span in the
	// range matches; Tree then adds all its spans, in range or not.
	Range model.TimeRange
	// Filters are tried on every span, at most 64; bit i of SpanRow.Match says
	// that filter i holds. No filters means all spans, with Match 0.
	Filters []Expr
	// Require lists combinations of filters: a trace answers when, for one of
	// the masks, each of its bits is matched by some span of the trace. Empty
	// means: any bit. A source that holds part of a trace decides by its part.
	Require []uint64
	// Tree asks for every span of the traces that answer, so that structure
	// can be seen; otherwise only the spans with Match != 0 come.
	Tree bool
	// SpansPerTrace bounds the spans returned of one trace when Tree is false;
	// 0 means all. Facts still count the whole trace.
	SpansPerTrace int
	// Project names the attributes that the caller will read; nil means every
	// field. Identity, intrinsics and the service always come.
	Project []Field
	Order   Order
	// Limit stops after so many traces; 0 means no limit.
	Limit int
	Stats *model.QueryStats
}

// Measure says what an Aggregation computes beyond counting.
type Measure uint8

// The measures. Each includes the ones before it.
const (
	CountOnly Measure = 0
	Numbers   Measure = 1 // count, sum, min, max of Of
	Quantiles Measure = 2 // and a sketch
)

// Aggregation asks for rows counted and measured where they lie.
type Aggregation struct {
	Tenant tenant.ID
	Range  model.TimeRange
	Filter Expr
	// Step is the bucket width in ns: bucket i is [Start+i*Step, Start+(i+1)*Step)
	// with Start = Range.Start; 0 means one bucket.
	Step int64
	// By groups rows by the values of these fields.
	By      []Field
	Measure Measure
	// Of is the measured field when Measure is not CountOnly. The intrinsic
	// Body measures its length in bytes.
	Of Field
	// OfText: also take numbers out of strings.
	OfText bool
	// MaxGroups bounds the groups kept (the ones met first); rows of others
	// are counted in Dropped. 0 means 10,000.
	MaxGroups int
	// Exemplars asks for up to so many rows a group that carry a trace id.
	Exemplars int
	Stats     *model.QueryStats
}

// FieldQuery asks which fields there are, or which values a field has.
type FieldQuery struct {
	Tenant tenant.ID
	Range  model.TimeRange
	Filter Expr
	// Field nil asks for fields; else for the values of this one.
	Field *Field
	// Prefix filters names (values) as they are typed.
	Prefix string
	// Limit bounds the answer; 0 means 1,000.
	Limit int
	Stats *model.QueryStats
}

// FieldInfo is one field, or one value, with how many rows have it (an
// estimate over the rows looked at, 0 when unknown).
type FieldInfo struct {
	Field Field
	Value model.Value // of a value query
	Kind  model.ValueKind
	Count int64
	// Distinct estimates the different values of a field, 0 when unknown.
	Distinct int64
}
