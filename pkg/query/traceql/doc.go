// Package traceql answers TraceQL, written from its public documentation.
//
// The life of a query, in order of files: lexer.go cuts the text into tokens;
// parser.go builds the tree of ast.go; validate.go refuses what cannot be
// meant; plan.go lowers every span filter to a predicate (lower.go), decides
// which spans and attributes must travel, and prints itself as EXPLAIN;
// search.go and metrics.go ask the query.TraceSource; spanset.go evaluates what
// the source could not: structure (tree.go, structure.go), groups, aggregates.
// metrics_series.go turns counts into series, metrics_compare.go compares a
// selection with the rest, metrics_math.go joins series.
//
// The same package holds what is said of one whole trace: its tree with clock
// skew, orphans and cycles flagged (tree.go), the critical path and the self
// time of spans (criticalpath.go), and the difference of two traces
// (tracediff.go).
package traceql
