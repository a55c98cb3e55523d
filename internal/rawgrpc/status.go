package rawgrpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Tenant reads the tenant of a call from its metadata.
func Tenant(ctx context.Context) (tenant.ID, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	name := ""
	if v := md.Get(tenant.Header); len(v) > 0 {
		name = v[0]
	}
	return tenant.Parse(name)
}

// Status turns an error into what a gRPC client understands.
func Status(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	var over *model.OverloadError
	code := codes.Internal
	switch {
	case errors.As(err, &over):
		code = codes.Unavailable
		if over.Tenant {
			code = codes.ResourceExhausted
		}
	case errors.Is(err, model.ErrInvalid), errors.Is(err, tenant.ErrInvalid):
		code = codes.InvalidArgument
	case errors.Is(err, model.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, model.ErrTooMuch):
		code = codes.ResourceExhausted
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, errors.ErrUnsupported):
		code = codes.Unimplemented
	}
	return status.Error(code, err.Error())
}
