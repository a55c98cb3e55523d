// Package tsdb keeps metrics: one Prometheus database a tenant, with a cheaper
// way in and a durable exemplar store beside it.
//
// The life of a batch:
//
//   - Append (append.go, txn.go) takes a request. The bytes of resource, scope,
//     metric and attributes of every point are hashed to an identity
//     (identity.go); a cache (refcache.go) knows the series references of that
//     identity. Only when it does not, labels are built (translate.go, naming by
//     the OpenTelemetry-to-Prometheus rules) and limits are asked (limits.go).
//   - Points become samples (points.go): explicit histograms fan out into their
//     classic series, exponential histograms become native ones (native.go),
//     delta becomes cumulative (delta.go), a resource becomes target_info.
//   - All of a request is one transaction of the tenant's head, under the locks
//     of the targets that it touches, so that the database's write-ahead log
//     holds every series in the order of its time.
//   - The syncer (durable.go) makes the write-ahead log durable every second or
//     so; until then OldestNeeded names the request's position, so that the
//     ingest log keeps it.
//   - At open, a write-ahead log that was damaged is mended (wal_repair.go), so
//     that the damage costs one record and not all that come after it.
//   - The head becomes blocks, blocks are merged and expire: Prometheus's own
//     code does that, by the tenant's retention.
//   - Queryable (select.go) is Prometheus's own way of reading. Exemplars and
//     metadata are answered from stores of our own (exemplar_store.go,
//     metadata.go).
//
// Beside the way of a batch: Appendable lets scraping and rules write, Import
// brings history in, Admin counts, deletes and copies.
//
// FORMAT.md draws the files that are not Prometheus's.
package tsdb
