// Package criticalpath says what a request waited for: the one rule that traces
// by TraceQL, the API of single traces and correlated requests share. Whoever has
// a tree of spans describes it (Tree) and gets the stretches of time in which the
// root waited for one span's own work.
package criticalpath
