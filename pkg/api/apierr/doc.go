// Package apierr says which HTTP status an error of the engine is, and when a
// client that was refused for overload should come again. The dialects differ
// in the words and the shape of an error, which each keeps to itself; what the
// error is must not differ, so that a proxy, a retry policy or an alert on 5xx
// sees the same of every API.
package apierr
