// Package app builds the parts of Braid and joins them. It is the only place
// that knows all of them; it decides nothing else.
//
// A program is a Role: `braid serve` is all three roles over local sources,
// ingester, querier and alerter are one each, the latter two over remote
// sources. Parts are opened in the order in which data flows and closed in
// reverse; the HTTP port opens first and says what is being waited for, and
// readiness comes last.
package app
