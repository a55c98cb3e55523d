// Program querier: answers queries over ingesters: every query API and the UI. Keeps nothing. It is the querier role of
// `braid serve`, run apart.
package main

import (
	"braid/cmd/internal/app"
	"braid/cmd/internal/cli"
)

func main() {
	cli.Program(app.Querier, "Answers queries over ingesters: every query API and the UI. Keeps nothing.")
}
