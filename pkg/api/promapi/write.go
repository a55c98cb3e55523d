package promapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"braid/pkg/api/apierr"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// WriteRequest is one remote-write request. It may be kept.
type WriteRequest struct {
	// Version is 1 for prometheus.WriteRequest, 2 for
	// io.prometheus.write.v2.Request.
	Version int
	// Payload is the body as it came, in Encoding ("snappy", "zstd" or "");
	// Body is the protobuf message in it.
	Payload, Body []byte
	Encoding      string
}

// WriteResult says what was stored.
type WriteResult struct {
	Samples, Histograms, Exemplars int
	Rejections                     model.Rejections
}

// WriteFunc takes a request: it writes the payload to the ingest log and the
// samples to the store, and returns when both are done. Errors: one that wraps
// model.ErrInvalid is the sender's fault, *model.OverloadError asks for a retry.
type WriteFunc func(ctx context.Context, t tenant.ID, req *WriteRequest) (WriteResult, error)

// WriteOptions of a remote-write endpoint.
type WriteOptions struct {
	Write WriteFunc
	// MaxBytes bounds a message after decompression; 0 means 64 MiB.
	MaxBytes int
}

const (
	defaultMaxWrite = 64 << 20
	protoV1         = "prometheus.WriteRequest"
	protoV2         = "io.prometheus.write.v2.Request"
	headerWritten   = "X-Prometheus-Remote-Write-"
)

// NewWriteHandler serves remote write 1.0 and 2.0. What was partly rejected is
// answered with 400, so that the sender does not try again, and the 2.0 headers
// say what was stored.
func NewWriteHandler(o WriteOptions) http.Handler {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxWrite
	}
	return &writeHandler{o}
}

type writeHandler struct{ opts WriteOptions }

// ServeHTTP takes one request.
func (h *writeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "remote write is sent by POST", http.StatusMethodNotAllowed)
		return
	}
	id, err := tenant.FromHTTP(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req, status, err := h.read(w, r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	res, err := h.opts.Write(r.Context(), id, req)
	if req.Version == 2 {
		w.Header().Set(headerWritten+"Samples-Written", strconv.Itoa(res.Samples))
		w.Header().Set(headerWritten+"Histograms-Written", strconv.Itoa(res.Histograms))
		w.Header().Set(headerWritten+"Exemplars-Written", strconv.Itoa(res.Exemplars))
	}
	switch {
	case err != nil:
		writeFailed(w, err)
	case res.Rejections.Count > 0:
		http.Error(w, fmt.Sprintf("%d samples were not taken, the rest was: %s", res.Rejections.Count, res.Rejections.Message()), http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func writeFailed(w http.ResponseWriter, err error) {
	apierr.SetRetryAfter(w.Header(), err)
	text, status := err.Error(), apierr.Status(err)
	var over *model.OverloadError
	if errors.As(err, &over) {
		text = over.Reason
	}
	if status == apierr.StatusClientClosed {
		// Who is still there sees a server that shuts down: a sender drops what is refused with 4xx.
		status = http.StatusServiceUnavailable
	}
	http.Error(w, text, status)
}

// read takes the body in and decompresses it.
func (h *writeHandler) read(w http.ResponseWriter, r *http.Request) (*WriteRequest, int, error) {
	version, err := writeVersion(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, http.StatusUnsupportedMediaType, err
	}
	req := &WriteRequest{Version: version, Encoding: strings.ToLower(r.Header.Get("Content-Encoding"))}
	if req.Encoding == "" {
		req.Encoding = "snappy" // both versions of the protocol know no other
	}
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.opts.MaxBytes)))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("body is larger than %d bytes: send smaller batches", h.opts.MaxBytes)
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Errorf("cannot read the body: %w", err)
	}
	req.Payload = payload
	body, status, err := h.decompress(req.Encoding, payload)
	req.Body = body
	return req, status, err
}

// writeVersion reads the protocol version out of the content type.
func writeVersion(contentType string) (int, error) {
	if contentType == "" {
		return 1, nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/x-protobuf" {
		return 0, fmt.Errorf("content type %q is not known: send application/x-protobuf", contentType)
	}
	switch params["proto"] {
	case "", protoV1:
		return 1, nil
	case protoV2:
		return 2, nil
	}
	return 0, fmt.Errorf("message %q is not known: send %s or %s", params["proto"], protoV1, protoV2)
}

var errTooBig = errors.New("message is larger than allowed after decompression: send smaller batches")

func (h *writeHandler) decompress(encoding string, payload []byte) ([]byte, int, error) {
	switch encoding {
	case "identity":
		return payload, 0, nil
	case "snappy":
		n, err := snappy.DecodedLen(payload)
		if err == nil && n > h.opts.MaxBytes {
			return nil, http.StatusRequestEntityTooLarge, errTooBig
		}
		var out []byte
		if err == nil {
			out, err = snappy.Decode(nil, payload)
		}
		if err != nil {
			return nil, http.StatusBadRequest, fmt.Errorf("cannot decompress snappy: %w", err)
		}
		return out, 0, nil
	case "zstd":
		d, err := zstd.NewReader(bytes.NewReader(payload), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(16<<20))
		if err != nil {
			return nil, http.StatusBadRequest, fmt.Errorf("cannot decompress zstd: %w", err)
		}
		defer d.Close()
		out, err := io.ReadAll(io.LimitReader(d, int64(h.opts.MaxBytes)+1))
		switch {
		case err != nil:
			return nil, http.StatusBadRequest, fmt.Errorf("cannot decompress zstd: %w", err)
		case len(out) > h.opts.MaxBytes:
			return nil, http.StatusRequestEntityTooLarge, errTooBig
		}
		return out, 0, nil
	}
	return nil, http.StatusUnsupportedMediaType, fmt.Errorf("content encoding %q is not known: send snappy", encoding)
}
