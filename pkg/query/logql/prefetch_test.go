package logql_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

// faulty fails in the middle of its answer.
type faulty struct {
	query.LogSource
	fail func(yield func([]model.LogRow, error) bool)
}

func (f faulty) SelectLogs(context.Context, *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	return func(yield func([]model.LogRow, error) bool) {
		if yield([]model.LogRow{{LogRecord: model.LogRecord{Time: 1e9, Body: model.String("{")}}}, nil) {
			f.fail(yield)
		}
	}
}

func TestFailingSourceFailsTheQuery(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(yield func([]model.LogRow, error) bool)
		expr string
		want string
	}{
		"error":             {func(y func([]model.LogRow, error) bool) { y(nil, errors.New("disk on fire")) }, `rate({}[1m])`, "cannot read logs: disk on fire"},
		"panic":             {func(func([]model.LogRow, error) bool) { panic("index out of range") }, `rate({}[1m])`, "the source failed: index out of range"},
		"given up midway":   {func(y func([]model.LogRow, error) bool) { y(nil, nil) }, `rate({} | json [1m])`, "pipeline error JSONParserErr"},
		"error, log stream": {func(y func([]model.LogRow, error) bool) { y(nil, errors.New("disk on fire")) }, `{}`, "cannot read logs: disk on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := logql.NewEngine(logql.Options{Source: faulty{fail: c.fail}}).Query(context.Background(), tenant.Default,
				logql.Params{Expr: c.expr, Start: time.Unix(0, 0), End: time.Unix(60, 0), Step: time.Minute})
			require.ErrorContains(t, err, c.want)
		})
	}
}
