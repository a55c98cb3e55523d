// Program ingester: takes metrics, logs and traces in, keeps them, and serves them to queriers. It is the ingester role of
// `braid serve`, run apart.
package main

import (
	"braid/cmd/internal/app"
	"braid/cmd/internal/cli"
)

func main() {
	cli.Program(app.Ingester, "Takes metrics, logs and traces in, keeps them, and serves them to queriers.")
}
