// Program alerter: evaluates rules against a querier and pages people. It is the alerter role of
// `braid serve`, run apart.
package main

import (
	"braid/cmd/internal/app"
	"braid/cmd/internal/cli"
)

func main() { cli.Program(app.Alerter, "Evaluates rules against a querier and pages people.") }
