package promapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// maxForm bounds the body of a query sent as a form.
const maxForm = 10 << 20

// guarded takes a place among the tenant's queries before next is asked.
func (h *Handler) guarded(id tenant.ID, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if limit := h.opts.Budget(id).Timeout; limit > 0 {
			ctx, cancel := context.WithTimeoutCause(r.Context(), limit,
				fmt.Errorf("%w: the query took longer than %s, which is the limit query_timeout: narrow the time range or the selector", model.ErrTooMuch, limit))
			defer cancel()
			r = r.WithContext(ctx)
		}
		if h.opts.Guard == nil {
			next.ServeHTTP(w, r)
			return
		}
		text := r.URL.Path
		if q := r.FormValue("query"); q != "" {
			text = q
		}
		ctx, done, err := h.opts.Guard.Begin(r.Context(), id, "promql", text)
		if err != nil {
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
		var cost *model.QueryStats
		if s := spendingOf(ctx); s != nil {
			cost = &model.QueryStats{}
			cost.AddRows(s.samples.Load())
			cost.AddBytes(s.bytes.Load())
		}
		done(cost, context.Cause(ctx))
	})
}

func refuse(w http.ResponseWriter, err error) {
	var over *model.OverloadError
	switch {
	case errors.As(err, &over):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(over.RetryAfter.Seconds()))))
		respondError(w, http.StatusTooManyRequests, "unavailable", over.Reason)
	case errors.Is(err, context.Canceled):
		respondError(w, 499, "canceled", err.Error())
	default:
		respondError(w, http.StatusServiceUnavailable, "timeout", err.Error())
	}
}
