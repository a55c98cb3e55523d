// Package journal is the small durable log that alerting keeps: what is firing,
// and what was found out about it.
//
// The life of a record: Append frames it (length, checksum, bytes), writes it
// to the end of the newest segment and returns once it is synced, one sync for
// all callers of that moment. Open replays every record, oldest first. A frame
// that does not check ends its segment: what follows a torn write was never
// acknowledged, and a damaged middle is reported with file and offset. Compact
// replaces everything by what is still true; DropBefore forgets old segments.
//
// FORMAT.md draws the bytes.
package journal
