// Package evidence makes a page worth reading. When an alert fires it asks, in
// bounded time, for what is behind it: the values, the requests, log lines that
// stand for many, the attributes that set those requests apart, and links that
// open exactly these; it keeps them with the alert's history.
//
// The life of a firing alert: Notify tells the Pager to hold it (durable from
// here), begins an episode and queues the gathering. When the answers are
// there, or the time is up, the alert goes to the Pager with what there is as
// annotations; what comes later is in the next sending and in the API. While
// the alert stays, each sending carries the same annotations. When it resolves
// the episode ends. Pages and their outcome are noted on the episode.
//
// Episodes and packs lie in an alerting journal (package journal), bounded by
// age and size; Open reads the episodes back, so that a restart neither gathers
// again nor begins a second episode.
//
// Nothing here knows stores or languages: a Source answers the questions.
package evidence
