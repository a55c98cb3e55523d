// Package logql is the LogQL language: text in, streams or series out, asked of
// any query.LogSource.
//
// A query's life: lexer.go cuts the text into tokens; parser*.go reads them
// into the tree of ast.go, every stage of it compiled and checked, with the
// position and what was expected in every error; plan.go splits a selection
// into the predicate that travels to the source and the stages that stay; then
// either aggregate_push.go lets the source count and measure, or rows stream
// through the pipeline (entry.go, stage_*.go) into the windows of range.go.
// Above the windows work vector.go (aggregations), binary.go (operations and
// matching) and functions.go. Engine ties them together and holds the limits.
//
// What a label is. A name in a selector or filter stands for the record's own
// attribute, else the instrumentation scope's, else the resource's, in dotted or
// underscore spelling, and for a few intrinsic facts (see fields.go). Resource
// attributes make the stream; the rest is structured metadata; what parsers and
// label_format make is parsed. A range aggregation without grouping keeps the
// stream's and the parsed labels apart, and structured metadata only where the
// query names it with keep: one unique id per record never becomes one series
// per record.
//
// The language was written from its public documentation.
package logql
