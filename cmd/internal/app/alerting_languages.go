package app

import (
	"braid/pkg/query/logql"
	"braid/pkg/query/promql"
	"braid/pkg/query/traceql"
)

// LogQLSeries and TraceQLSeries evaluate the queries of virtual selectors: for
// unit tests of rules, which must see what the server sees.

// LogQLSeries evaluates LogQL metric queries.
func LogQLSeries(g *logql.Engine) promql.Evaluator { return logqlSeries(g) }

// TraceQLSeries evaluates TraceQL metric queries.
func TraceQLSeries(g *traceql.Engine) promql.Evaluator { return traceqlSeries(g) }

// CheckVirtual tries the query of a virtual selector of a language.
func CheckVirtual(language, expr string) error { return checkVirtual(language, expr) }
