package promapi

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/util/httputil"
)

// compressed answers in zstd when the client takes it, which costs less than
// gzip, else in what Prometheus offers: gzip or deflate.
func compressed(next http.Handler) http.Handler {
	fallback := httputil.CompressionHandler{Handler: next}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !acceptsZstd(r.Header.Get("Accept-Encoding")) {
			fallback.ServeHTTP(w, r)
			return
		}
		z := &zstdWriter{ResponseWriter: w}
		defer z.close()
		next.ServeHTTP(z, withoutEncodings(r))
	})
}

// zstdOr wraps a handler that compresses by itself, but not in zstd.
func zstdOr(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !acceptsZstd(r.Header.Get("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		z := &zstdWriter{ResponseWriter: w}
		defer z.close()
		next.ServeHTTP(z, withoutEncodings(r))
	})
}

// withoutEncodings keeps what is below from compressing as well.
func withoutEncodings(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.Header.Del("Accept-Encoding")
	return out
}

func acceptsZstd(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(name), "zstd") {
			continue
		}
		q, ok := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if !ok {
			return true
		}
		weight, err := strconv.ParseFloat(q, 64)
		return err == nil && weight > 0
	}
	return false
}

var zstdPool = sync.Pool{New: func() any {
	// The options are constants that NewWriter accepts.
	w, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	return w
}}

// zstdWriter compresses from the first byte of the body on: an answer without
// a body stays without.
type zstdWriter struct {
	http.ResponseWriter
	enc *zstd.Encoder
}

// WriteHeader implements http.ResponseWriter.
func (z *zstdWriter) WriteHeader(status int) {
	h := z.Header()
	h.Add("Vary", "Accept-Encoding")
	if status != http.StatusNoContent && status != http.StatusNotModified && h.Get("Content-Encoding") == "" {
		h.Set("Content-Encoding", "zstd")
		h.Del("Content-Length")
		z.enc = zstdPool.Get().(*zstd.Encoder)
		z.enc.Reset(z.ResponseWriter)
	}
	z.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (z *zstdWriter) Write(b []byte) (int, error) {
	if z.enc == nil && z.Header().Get("Content-Encoding") == "" {
		z.WriteHeader(http.StatusOK)
	}
	if z.enc == nil {
		return z.ResponseWriter.Write(b)
	}
	return z.enc.Write(b)
}

// Flush implements http.Flusher: remote read streams.
func (z *zstdWriter) Flush() {
	if z.enc != nil {
		// An error here comes back from the next Write.
		_ = z.enc.Flush()
	}
	if f, ok := z.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func (z *zstdWriter) close() {
	if z.enc == nil {
		return
	}
	// A failed write means that the client has gone.
	_ = z.enc.Close()
	z.enc.Reset(nil)
	zstdPool.Put(z.enc)
	z.enc = nil
}
