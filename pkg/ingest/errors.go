package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// BadRequestError is the sender's fault: the same bytes will never be taken.
// HTTP 400, gRPC InvalidArgument.
type BadRequestError struct {
	Field string // the header or part of the body that is wrong
	Err   error
}

func (e *BadRequestError) Error() string { return e.Err.Error() }
func (e *BadRequestError) Unwrap() error { return e.Err }

// TooLargeError: the payload passes the limit, before or after decompression.
// HTTP 413, gRPC ResourceExhausted without RetryInfo.
type TooLargeError struct {
	What  string
	Limit int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s is larger than the limit of %d bytes; send smaller batches or raise max_request_bytes", e.What, e.Limit)
}

// errUnsupported is an encoding nobody here reads. HTTP 415.
var errUnsupported = errors.New("not supported")

// errUnauthorized wraps what Authorize said. HTTP 401.
var errUnauthorized = errors.New("not authorized")

// errMethod is a request that is not a POST. HTTP 405.
var errMethod = errors.New("only POST is allowed here")

// failure is an error in the words of both transports.
type failure struct {
	http       int
	code       codes.Code
	retryAfter time.Duration
	message    string
	field      string
}

// defaultRetry is how long senders wait when nobody knows better.
const defaultRetry = 5 * time.Second

// maxMessageBytes keeps an answer far below the 4 MiB that OTLP allows.
const maxMessageBytes = 4096

// classify decides what the sender is told. What could succeed later is 429 or
// 503 and never 500: the specification lets senders drop after a 500.
func classify(err error) failure {
	f := failure{message: clip(err.Error(), maxMessageBytes)}
	var bad *BadRequestError
	var large *TooLargeError
	var overload *model.OverloadError
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &bad):
		f.http, f.code, f.field = http.StatusBadRequest, codes.InvalidArgument, bad.Field
		if errors.Is(err, errUnsupported) {
			f.http = http.StatusUnsupportedMediaType
		}
	case errors.Is(err, tenant.ErrInvalid):
		f.http, f.code, f.field = http.StatusBadRequest, codes.InvalidArgument, tenant.Header
	case errors.As(err, &large), errors.As(err, &body), errors.Is(err, otlp.ErrTooLarge):
		f.http, f.code = http.StatusRequestEntityTooLarge, codes.ResourceExhausted
	case errors.As(err, &overload):
		f.http, f.code, f.retryAfter = http.StatusServiceUnavailable, codes.Unavailable, max(overload.RetryAfter, time.Second)
		if overload.Tenant {
			f.http = http.StatusTooManyRequests
		}
	case errors.Is(err, ErrForbidden):
		f.http, f.code = http.StatusForbidden, codes.PermissionDenied
	case errors.Is(err, errUnauthorized):
		f.http, f.code = http.StatusUnauthorized, codes.Unauthenticated
	case errors.Is(err, errMethod):
		f.http, f.code = http.StatusMethodNotAllowed, codes.Unimplemented
	case errors.Is(err, context.Canceled):
		f.http, f.code, f.retryAfter = http.StatusServiceUnavailable, codes.Canceled, time.Second
	case errors.Is(err, context.DeadlineExceeded):
		f.http, f.code, f.retryAfter = http.StatusServiceUnavailable, codes.DeadlineExceeded, time.Second
	default:
		f.http, f.code, f.retryAfter = http.StatusServiceUnavailable, codes.Unavailable, defaultRetry
	}
	return f
}

// status returns the google.rpc.Status of the failure with its details: the
// field that is wrong, or the time to wait.
func (f failure) status() *status.Status {
	st := status.New(f.code, f.message)
	switch {
	case f.field != "":
		violation := &errdetails.BadRequest_FieldViolation{Field: f.field, Description: f.message}
		if d, err := st.WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}}); err == nil {
			return d
		}
	case f.retryAfter > 0 && f.code == codes.Unavailable:
		if d, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(f.retryAfter)}); err == nil {
			return d
		}
	}
	return st
}

// clip shortens text at a rune boundary.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xC0 == 0x80 {
		limit--
	}
	return s[:limit]
}
