package logql

import (
	"fmt"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// LogFilter reads a selector with its line and label filters as a condition
// that a source can try. Errors wrap model.ErrInvalid: the text does not parse,
// or has a stage that changes lines or labels, which a condition cannot.
func LogFilter(text string) (predicate.Expr, error) {
	s, err := ParseSelection(text)
	if err != nil {
		return nil, err
	}
	if pl := planSelection(s); len(pl.stages) == 0 {
		return pl.filter, nil
	}
	return nil, fmt.Errorf("%w: %s parses or formats lines; here only a selector, line filters and label filters can stand", model.ErrInvalid, text)
}
