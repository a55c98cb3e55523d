// Package proto holds the definitions of Braid's own APIs and what is
// generated from them: braid/v1, the native API (gRPC, REST, OpenAPI), and
// braid/store/v1, what a querier asks of an ingester. `make generate` makes the
// generated files anew; a test in internal/arch tells when they are not.
package proto

import _ "embed"

// OpenAPI is the OpenAPI 2 document of the native API.
//
//go:embed braid/v1/braid.swagger.json
var OpenAPI []byte
