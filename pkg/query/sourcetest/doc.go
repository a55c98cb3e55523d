// Package sourcetest is the conformance suite of the contracts in package
// query. Whatever claims to be a LogSource or a TraceSource (a store, a remote
// client, many sources as one) is handed random data and random questions and
// must answer as the definition does: predicate.Eval tried on every row, which
// is what testkit's sources in memory do.
//
// Every case is drawn from a seed; a failure prints it.
package sourcetest
