// Package fanout makes many sources one. A question goes to every part at the
// same time; the answers are merged in the order asked for. A part that fails
// while others answer is a warning in the question's Stats, so that the result
// says that it is not whole; when every part fails, the question does.
//
// Logs, Traces and Metrics satisfy the contracts of package query, so whoever
// asks cannot tell one store from many.
package fanout
