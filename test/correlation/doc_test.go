// Package correlation_test proves the promise of correlation over the real
// stores: what a look-up returns is what a scan of everything that was sent
// would find, across flush, late arrival, merge and restart, whatever the
// spelling of the id.
package correlation_test
