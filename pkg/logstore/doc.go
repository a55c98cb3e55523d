// Package logstore keeps log records: every field searchable, whatever its
// cardinality.
//
// The life of a batch. AppendLogs copies the records of a request into the
// tenant's head: uncompressed columns in chunks of a few thousand rows,
// searchable as soon as the call returns. The request itself is durable in the
// ingest log; the head remembers the positions that it holds. When the head is
// big or old enough it is sealed, and flush turns it into an immutable block:
// rows sorted by stream (resource and scope) then time, cut into pages of 1024
// rows, each field of a page a compressed and checksummed chunk. The words and
// the attribute terms of the pages are indexed with bleve, one bleve document a
// page; ids go to a hash -> page map beside it (pkg/idindex). Merges join small
// blocks, retention drops whole ones, deletions hide rows at once and rewrite
// the blocks later.
//
// Reading. A query takes a snapshot of heads and blocks and holds no lock. A
// block is narrowed by time, by stream, by the ids and words that the condition
// requires, down to candidate pages; each is then scanned with the exact
// semantics of predicate.Eval, several at once, newest first with an early
// stop. Other columns are decoded only for the rows that won.
//
// Both a page of a block and a chunk of a head are a page to the evaluation
// (page.go): columns of one kind of value, vectors, over a schema and a table of
// streams that they share with their siblings.
//
// See FORMAT.md for the bytes.
package logstore
