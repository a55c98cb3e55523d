package traceql

import (
	"fmt"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// SpanFilter reads a query that is a single span filter, `{ … }`, as a
// condition that a source can try. Errors wrap model.ErrInvalid: the text does
// not parse, is more than one filter, or compares in a way that only the
// engine can (then the message says so).
func SpanFilter(text string) (predicate.Expr, error) {
	q, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if q.Metrics == nil && len(q.Pipeline.Stages) == 1 {
		if f, ok := q.Pipeline.Stages[0].(SpansetFilter); ok {
			l := lowerFilter(f.Expr)
			if !l.exact {
				return nil, fmt.Errorf("%w: %s compares fields with each other or with the structure of the trace; here a filter must compare fields with values", model.ErrInvalid, text)
			}
			return l.expr, nil
		}
	}
	return nil, fmt.Errorf("%w: %s is more than one span filter; here it must have the form { … }", model.ErrInvalid, text)
}
