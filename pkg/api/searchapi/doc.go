// Package searchapi speaks what a search page over logs asks, as JSON over HTTP
// below /api/braid/v1/logs/: records page by page, a histogram, the fields with
// their statistics, facets with counts, and the records around one.
//
// Every question has the same parameters, in the query of a GET or in the form
// of a POST: q, a search as logql.ParseSearch reads it or a LogQL selector with
// filters; start (inclusive) and end (exclusive). docs/apis.md lists the rest.
// Times in answers are Unix nanoseconds as text, since JSON's numbers cannot hold
// them.
package searchapi
