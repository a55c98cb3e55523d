// Package predicate is the question that a store can answer: which rows
// (Expr), of which tenant and time, with which fields, in which order, and how
// many; or the rows counted and measured by group and time bucket. It is the
// part of a query that travels to the data.
//
// It knows no query language and no store. A language lowers its text to these
// values; a store compiles them to its own index look-ups and column scans, and
// must answer as Eval does, which is the definition.
package predicate
