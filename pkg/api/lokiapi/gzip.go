package lokiapi

import (
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

// responseWriter compresses what is written when the client takes gzip.
type responseWriter struct {
	http.ResponseWriter
	zip     *gzip.Writer // nil: plain
	started bool
}

func compress(w http.ResponseWriter, r *http.Request) *responseWriter {
	out := &responseWriter{ResponseWriter: w}
	if r.Method == http.MethodHead || !acceptsGzip(r.Header.Values("Accept-Encoding")) {
		return out
	}
	out.zip = gzipWriters.Get().(*gzip.Writer)
	out.zip.Reset(w)
	return out
}

func acceptsGzip(headers []string) bool {
	for _, h := range headers {
		for _, part := range strings.Split(h, ",") {
			name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			if strings.EqualFold(name, "gzip") && strings.TrimSpace(params) != "q=0" {
				return true
			}
		}
	}
	return false
}

func (w *responseWriter) WriteHeader(status int) {
	if !w.started {
		w.started = true
		w.Header().Add("Vary", "Accept-Encoding")
		if w.zip != nil && status != http.StatusNoContent {
			w.Header().Set("Content-Encoding", "gzip")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	if w.zip != nil {
		return w.zip.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *responseWriter) close() {
	if w.zip == nil {
		return
	}
	if w.started {
		_ = w.zip.Close() // the client went away
	}
	gzipWriters.Put(w.zip)
	w.zip = nil
}
