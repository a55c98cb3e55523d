// Package ingestlog is the one durable log of accepted payloads: what was
// acknowledged is on disk. It knows nothing of what a payload means.
//
// The life of a request: Append numbers it and queues it; the log's one writer
// takes all that is queued, writes it behind one another into the newest
// segment, syncs once, and lets every Ticket go. While it syncs the next
// requests queue up, so that the number of syncs follows the disk and
// Options.SyncDelay and not the number of requests; an idle log syncs at once.
// Once the stores hold the request in blocks of their own, TrimBefore removes
// whole segments. After a crash Replay yields what is there, in order, each
// record once.
//
// A write or sync that fails ends the segment: a failed sync is never tried
// again and called good. Everybody who waits gets a *model.OverloadError, the
// log is read-only, and tries with growing pauses to begin a new segment; when
// it can, it goes on by itself. Damage found by Replay is named by file and
// offset and skipped by looking for the next whole record; it is never the end
// of the log.
//
// See FORMAT.md for the bytes.
package ingestlog
