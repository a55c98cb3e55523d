// Package native serves Braid's own API (proto/braid/v1): correlation, the
// requests behind a number, what is different about them, the service map, the
// query log. The same service answers gRPC and, through grpc-gateway in the
// same process, REST.
package native
