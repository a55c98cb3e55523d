// Package cli is the command line of Braid's programs: flags, signals, and the
// operator's commands, which talk to a running Braid over its HTTP API.
package cli
