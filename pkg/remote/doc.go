// Package remote lets a querier ask an ingester in another process. Server
// serves local sources over gRPC (braid.store.v1.Store); Client satisfies the
// contracts of package query on the other side, so that nobody can tell a
// remote source from a local one.
//
// Questions travel as JSON (predicates in predicate.MarshalExpr's form), rows
// as Arrow IPC streams of zstd-compressed record batches, one stream a part;
// the last part of every answer carries what it cost and its warnings. Outlines
// of large traces, of which every span counts, have a form of their own
// (outline_wire.go).
package remote
