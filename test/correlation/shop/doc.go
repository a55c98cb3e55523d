// Package shop draws the requests of a shop whose services speak four protocols
// of ids, send parts late or never, and disagree about the time; and says of
// each request what a look-up of one of its ids must find. It knows that from
// what it sent, and uses nothing of the code under test.
package shop
