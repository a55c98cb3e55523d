package lokiapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// statusClientClosed is what proxies log when the client went away.
const statusClientClosed = 499

// statusOf tells which status an error is.
func statusOf(err error) int {
	var overload *model.OverloadError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &overload) && overload.Tenant:
		return http.StatusTooManyRequests
	case errors.As(err, &overload):
		return http.StatusServiceUnavailable
	case errors.Is(err, model.ErrTooMuch):
		return http.StatusUnprocessableEntity
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, model.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, model.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return statusClientClosed
	}
	return http.StatusInternalServerError
}

func (a *api) writeError(w http.ResponseWriter, r *http.Request, t tenant.ID, err error) {
	status := statusOf(err)
	var overload *model.OverloadError
	if errors.As(err, &overload) && overload.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(overload.RetryAfter.Seconds()))))
	}
	if status == http.StatusInternalServerError {
		a.Logger.ErrorContext(r.Context(), "loki api request failed", "tenant", t, "path", r.URL.Path, "error", err)
	}
	writeText(w, status, strings.TrimPrefix(err.Error(), model.ErrInvalid.Error()+": "))
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// jsonSafe renders a text for the inside of a JSON string.
func jsonSafe(s string) string {
	b, err := json.Marshal(s)
	if err != nil || len(b) < 2 {
		return ""
	}
	return string(b[1 : len(b)-1])
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(b) // the client went away: nobody is left to tell
	return nil
}

// envelope is the usual answer around data.
type envelope struct {
	Status string `json:"status"`
	Data   any    `json:"data"`
}

func success(data any) envelope { return envelope{"success", data} }
