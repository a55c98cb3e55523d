package remote

import (
	"encoding/json"
	"fmt"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// The JSON bodies of questions. A nil or missing filter means every row.

type logQuestion struct {
	Range  model.TimeRange
	Filter json.RawMessage
	Order  predicate.Order
	Limit  int
}

type spanQuestion struct {
	Range         model.TimeRange
	Filters       []json.RawMessage
	Require       []uint64
	Tree          bool
	SpansPerTrace int
	Project       []predicate.Field
	AllFields     bool // Project was nil: every field
	Order         predicate.Order
	Limit         int
}

type aggregateQuestion struct {
	Range     model.TimeRange
	Filter    json.RawMessage
	Step      int64
	By        []predicate.Field
	Measure   predicate.Measure
	Of        predicate.Field
	OfText    bool
	MaxGroups int
	Exemplars int
}

type fieldQuestion struct {
	Range  model.TimeRange
	Filter json.RawMessage
	Field  *predicate.Field
	Prefix string
	Limit  int
}

type fieldAnswer struct {
	Field    predicate.Field
	Value    predicate.WireValue
	Kind     model.ValueKind
	Count    int64
	Distinct int64
}

// graphQuestion asks for the service graph, or (with a limit) for trace ids.
type graphQuestion struct {
	Range model.TimeRange
	Limit int
}

type traceQuestion struct {
	ID string
}

// outlineQuestion asks for the outline of a trace of more than Over spans, and
// spansQuestion for spans where it says that they are.
type outlineQuestion struct {
	ID    string
	Known string
	Over  int
}

type spansQuestion struct {
	ID      string
	Version string
	At      []uint64
}

type exemplarQuestion struct {
	Range    model.TimeRange
	Series   [][]predicate.LabelMatcher
	Kind, ID string
	Limit    int
}

type metadataQuestion struct {
	Metric string
	Limit  int
}

// aggregateAnswer is model.Aggregate with its values made to survive JSON;
// floats may be NaN or infinite, so cells travel as bits.
type aggregateAnswer struct {
	Scale       int // of the sketches; 0 from programs that tell none
	Start, Step int64
	Buckets     int
	Dropped     int64
	Groups      []groupAnswer
}

type groupAnswer struct {
	Key       []predicate.WireValue
	Cells     []cellAnswer
	Exemplars []exemplarAnswer
}

type cellAnswer struct {
	At            int `json:"a"` // bucket; empty buckets are left out
	Count         uint64
	Sum, Min, Max uint64 `json:",omitempty"` // float bits
	Measured      uint64 `json:",omitempty"`
	Sketch        *model.Sketch
}

type exemplarAnswer struct {
	Bucket  int
	Time    int64
	Value   uint64 // float bits
	TraceID string
	SpanID  string
}

func marshalFilter(e predicate.Expr) (json.RawMessage, error) {
	if e == nil {
		return nil, nil
	}
	return predicate.MarshalExpr(e)
}

func unmarshalFilter(raw json.RawMessage) (predicate.Expr, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return predicate.True{}, nil
	}
	return predicate.UnmarshalExpr(raw)
}

func encodeLogQuery(q *predicate.LogQuery) ([]byte, error) {
	f, err := marshalFilter(q.Filter)
	if err != nil {
		return nil, err
	}
	return json.Marshal(logQuestion{q.Range, f, q.Order, q.Limit})
}

func decodeLogQuery(t tenant.ID, body []byte, stats *model.QueryStats) (*predicate.LogQuery, error) {
	var d logQuestion
	if err := readBody(body, &d); err != nil {
		return nil, err
	}
	f, err := unmarshalFilter(d.Filter)
	return &predicate.LogQuery{Tenant: t, Range: d.Range, Filter: f, Order: d.Order, Limit: d.Limit, Stats: stats}, err
}

func encodeSpanQuery(q *predicate.SpanQuery) ([]byte, error) {
	d := spanQuestion{Range: q.Range, Require: q.Require, Tree: q.Tree, SpansPerTrace: q.SpansPerTrace, Project: q.Project,
		AllFields: q.Project == nil, Order: q.Order, Limit: q.Limit}
	for _, e := range q.Filters {
		f, err := marshalFilter(e)
		if err != nil {
			return nil, err
		}
		d.Filters = append(d.Filters, f)
	}
	return json.Marshal(d)
}

func decodeSpanQuery(t tenant.ID, body []byte, stats *model.QueryStats) (*predicate.SpanQuery, error) {
	var d spanQuestion
	if err := readBody(body, &d); err != nil {
		return nil, err
	}
	if len(d.Filters) > 64 {
		return nil, fmt.Errorf("%w: %d filters, at most 64 are allowed", model.ErrInvalid, len(d.Filters))
	}
	q := &predicate.SpanQuery{Tenant: t, Range: d.Range, Require: d.Require, Tree: d.Tree, SpansPerTrace: d.SpansPerTrace,
		Project: d.Project, Order: d.Order, Limit: d.Limit, Stats: stats}
	if !d.AllFields && q.Project == nil {
		q.Project = []predicate.Field{}
	}
	for _, raw := range d.Filters {
		f, err := unmarshalFilter(raw)
		if err != nil {
			return nil, err
		}
		q.Filters = append(q.Filters, f)
	}
	return q, nil
}

func encodeAggregation(q *predicate.Aggregation) ([]byte, error) {
	f, err := marshalFilter(q.Filter)
	if err != nil {
		return nil, err
	}
	return json.Marshal(aggregateQuestion{q.Range, f, q.Step, q.By, q.Measure, q.Of, q.OfText, q.MaxGroups, q.Exemplars})
}

func decodeAggregation(t tenant.ID, body []byte, stats *model.QueryStats) (*predicate.Aggregation, error) {
	var d aggregateQuestion
	if err := readBody(body, &d); err != nil {
		return nil, err
	}
	f, err := unmarshalFilter(d.Filter)
	return &predicate.Aggregation{Tenant: t, Range: d.Range, Filter: f, Step: d.Step, By: d.By, Measure: d.Measure, Of: d.Of,
		OfText: d.OfText, MaxGroups: d.MaxGroups, Exemplars: d.Exemplars, Stats: stats}, err
}

func encodeFieldQuery(q *predicate.FieldQuery) ([]byte, error) {
	f, err := marshalFilter(q.Filter)
	if err != nil {
		return nil, err
	}
	return json.Marshal(fieldQuestion{q.Range, f, q.Field, q.Prefix, q.Limit})
}

func decodeFieldQuery(t tenant.ID, body []byte, stats *model.QueryStats) (*predicate.FieldQuery, error) {
	var d fieldQuestion
	if err := readBody(body, &d); err != nil {
		return nil, err
	}
	f, err := unmarshalFilter(d.Filter)
	return &predicate.FieldQuery{Tenant: t, Range: d.Range, Filter: f, Field: d.Field, Prefix: d.Prefix, Limit: d.Limit, Stats: stats}, err
}

func readTraceID(text string) (model.TraceID, error) {
	id, ok := model.ParseTraceID(text)
	if !ok {
		return id, fmt.Errorf("%w: trace id %q", model.ErrInvalid, text)
	}
	return id, nil
}

func readBody(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: question: %w", model.ErrInvalid, err)
	}
	return nil
}
