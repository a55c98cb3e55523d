// Package calls says which spans of one trace are the two sides of a call: the
// rules that the service graph of the trace store and the span metrics share,
// so that both count the same calls.
//
// The spans of a trace are added, Resolve finds each one's parent (Zipkin's
// client and server halves share an id: the server's hangs below the client's),
// Mark notes who was called. A call is a span of kind server or consumer, or of
// another service than its parent, with its parent; or a span of kind client or
// producer that was not called and names a peer.
package calls
