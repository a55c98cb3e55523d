// Package tracestore keeps spans and answers questions about them.
//
// The life of a batch: AppendSpans puts the spans into the tenant's head, where
// they are rows without pointers (rowset) and visible at once; the ingest log
// has them on disk. A head that is full or old is flushed: its rows, sorted by
// trace, become a block (blockBuilder) of four files: a Parquet file that any
// reader of Parquet can open, a sidecar with what decides most questions without
// it, an index of ids (pkg/idindex), and who calls whom (pkg/calls). merge joins small blocks into larger
// ones, and the parts of a trace that lie in several; retention drops whole
// blocks.
//
// What many spans share (resource, scope, name, kind, status, the list of their
// attributes) is their class. A filter is first placed in the classes: for most
// of them it is decided there, and only the columns that the undecided leaves
// need are read, a page at a time, the newest first. predicate.Eval is the
// definition that all of it agrees with.
//
// A trace whose spans lie in several parts (two blocks, a head and a block) is
// known as such: it is joined, identical spans are dropped, and it is decided
// by predicate.Eval on the whole.
//
// See FORMAT.md for the bytes.
package tracestore
