// Package ruletest runs unit tests of rules: promtool's file format, with log
// records and spans as further input, so that rules over all three signals can
// be tried without a server.
//
// The life of a test: its series are loaded up to a moment, its records and
// spans are all there; every group is evaluated at that moment by Prometheus's
// own rules package over the same virtual selectors as in the server; then the
// alerts are compared with those expected, and the clock moves on.
package ruletest
