package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"braid/pkg/tenant"
)

// requestIDHeader carries the id under which a request is found in our logs.
const requestIDHeader = "X-Request-Id"

// RequestID returns the id that the sender gave, or a new one, and sends it back.
func RequestID(w http.ResponseWriter, r *http.Request) string {
	id := requestID(r.Header.Get(requestIDHeader))
	w.Header().Set(requestIDHeader, id)
	return id
}

// requestID keeps a sender's id when it is printable and short: it goes into
// logs and headers.
func requestID(given string) string {
	ok := given != "" && len(given) <= 128
	for i := 0; ok && i < len(given); i++ {
		ok = given[i] > 0x20 && given[i] < 0x7f
	}
	if ok {
		return given
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return hex.EncodeToString(b[:])
}

// authorize asks the configured judge, if there is one.
func (p *Pipeline) authorize(ctx context.Context, t tenant.ID, header func(string) string) error {
	if p.opts.Authorize == nil {
		return nil
	}
	err := p.opts.Authorize(ctx, t, header)
	if err == nil || errors.Is(err, ErrForbidden) || isOverload(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnauthorized, err)
}
