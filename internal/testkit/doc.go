// Package testkit holds what the tests of many rooms share: sources that
// answer by definition and not by speed, and generators of data.
package testkit
