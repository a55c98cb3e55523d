package apierr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"braid/pkg/api/apierr"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{&model.OverloadError{Tenant: true}, http.StatusTooManyRequests},
		{&model.OverloadError{}, http.StatusServiceUnavailable},
		{&http.MaxBytesError{Limit: 1}, http.StatusRequestEntityTooLarge},
		{model.ErrTooMuch, http.StatusUnprocessableEntity},
		{model.ErrInvalid, http.StatusBadRequest},
		{tenant.ErrInvalid, http.StatusBadRequest},
		{model.ErrNotFound, http.StatusNotFound},
		{errors.ErrUnsupported, http.StatusNotImplemented},
		{context.DeadlineExceeded, http.StatusGatewayTimeout},
		{context.Canceled, apierr.StatusClientClosed},
		{errors.New("a disk is gone"), http.StatusInternalServerError},
	} {
		if got := apierr.Status(fmt.Errorf("reading: %w", c.err)); got != c.want {
			t.Errorf("Status(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&model.OverloadError{}, "1"},
		{&model.OverloadError{RetryAfter: 200 * time.Millisecond}, "1"},
		{&model.OverloadError{RetryAfter: 1500 * time.Millisecond}, "2"},
		{model.ErrInvalid, ""},
	} {
		h := http.Header{}
		apierr.SetRetryAfter(h, c.err)
		if got := h.Get("Retry-After"); got != c.want {
			t.Errorf("%v: Retry-After %q, want %q", c.err, got, c.want)
		}
	}
}
