// Program braid runs all roles in one process (braid serve) and is the
// operator's tool.
package main

import "braid/cmd/internal/cli"

func main() { cli.Braid() }
