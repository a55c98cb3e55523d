package apierr

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// StatusClientClosed is what proxies log when the client has gone. Nobody
// reads it; it keeps such requests out of the counts of 5xx.
const StatusClientClosed = 499

// Status tells which HTTP status an error is: 4xx for what the client can mend,
// 429 when its tenant asks too much, 503 when everybody does, 500 for what is
// unknown and thus a fault of Braid. err is not nil.
func Status(err error) int {
	var over *model.OverloadError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		if over.Tenant {
			return http.StatusTooManyRequests
		}
		return http.StatusServiceUnavailable
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, model.ErrTooMuch):
		return http.StatusUnprocessableEntity
	case errors.Is(err, model.ErrInvalid), errors.Is(err, tenant.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, model.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, errors.ErrUnsupported):
		return http.StatusNotImplemented
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return StatusClientClosed
	}
	return http.StatusInternalServerError
}

// SetRetryAfter tells the client of an overloaded server in how many whole
// seconds to come again, at least one. Other errors set nothing.
func SetRetryAfter(h http.Header, err error) {
	var over *model.OverloadError
	if errors.As(err, &over) {
		h.Set("Retry-After", strconv.Itoa(int(max(1, math.Ceil(over.RetryAfter.Seconds())))))
	}
}
