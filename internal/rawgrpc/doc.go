// Package rawgrpc serves gRPC methods whose messages are bytes: for the
// protocols of other systems, of which Braid speaks a wire-compatible subset
// without carrying their generated code.
//
// A request arrives as an emptypb.Empty, which keeps every field it does not
// know, that is all of them; what a handler returns travels the same way.
// Encoder and Each write and read the fields.
package rawgrpc
