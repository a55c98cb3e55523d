package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// HTTPHandler serves OTLP/HTTP: POST /v1/logs, /v1/traces and /v1/metrics, and
// the same under /otlp.
func (p *Pipeline) HTTPHandler() http.Handler {
	mux := http.NewServeMux()
	for _, s := range []Signal{SignalLogs, SignalTraces, SignalMetrics} {
		h := p.otlpHandler(s)
		mux.Handle("/v1/"+s.String(), h)
		mux.Handle("/otlp/v1/"+s.String(), h)
	}
	return mux
}

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

func (p *Pipeline) otlpHandler(s Signal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := RequestID(w, r)
		enc, err := otlpEncoding(r)
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			err = errMethod
		}
		if err == nil {
			var answer []byte
			if answer, err = p.serveOTLP(w, r, s, enc); err == nil {
				writeBody(w, http.StatusOK, enc, answer)
				return
			}
		}
		p.fail(w, r, id, enc, err)
	})
}

func (p *Pipeline) serveOTLP(w http.ResponseWriter, r *http.Request, s Signal, enc otlp.Encoding) ([]byte, error) {
	req, release, err := p.ReadHTTP(w, r)
	if err != nil {
		return nil, err
	}
	defer release()
	req.Protocol = protocolOf(s, enc)
	rej, err := p.Ingest(r.Context(), req)
	if err != nil {
		return nil, err
	}
	return response(s, enc, rej), nil
}

// otlpEncoding reads the Content-Type. Its parameters do not matter.
func otlpEncoding(r *http.Request) (otlp.Encoding, error) {
	header := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(header)
	if err != nil && media == "" && header != "" {
		media = header
	}
	switch media {
	case protobufType, "application/protobuf":
		return otlp.Protobuf, nil
	case jsonType:
		return otlp.JSON, nil
	}
	return otlp.JSON, &BadRequestError{Field: "Content-Type",
		Err: fmt.Errorf("Content-Type %q is %w; use application/x-protobuf or application/json", clip(header, 64), errUnsupported)}
}

// ReadHTTP reads the tenant and the body of a request, as it came, within the
// limits of size, memory and time. The caller sets Protocol and hands the
// Request to Ingest; release gives the memory back.
func (p *Pipeline) ReadHTTP(w http.ResponseWriter, r *http.Request) (req *Request, release func(), err error) {
	t, err := tenant.FromHTTP(r)
	if err != nil {
		return nil, nil, err
	}
	if err := p.authorize(r.Context(), t, r.Header.Get); err != nil {
		return nil, nil, err
	}
	c, err := parseCompression(r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, nil, err
	}
	l := p.budget.lease(t)
	buf := getBuffer()
	req = &Request{Tenant: t, Transport: "http", Compression: c, lease: l}
	release = func() {
		l.release()
		putBuffer(buf)
	}
	if err := p.readBody(w, r, buf, l); err != nil {
		release()
		return nil, nil, err
	}
	req.Body = buf.Bytes()
	return req, release, nil
}

func (p *Pipeline) readBody(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer, l *lease) error {
	limit := p.opts.MaxRequestBytes
	if r.ContentLength > int64(limit) {
		w.Header().Set("Connection", "close")
		return &TooLargeError{What: "the request body", Limit: limit}
	}
	ctl := http.NewResponseController(w)
	// A server without deadlines (a test's recorder) has no slow senders either.
	timed := ctl.SetReadDeadline(time.Now().Add(p.opts.BodyTimeout)) == nil
	body := io.Reader(http.MaxBytesReader(w, r.Body, int64(limit)))
	var err error
	if r.ContentLength > 0 {
		if err := l.grow(r.ContentLength); err != nil {
			w.Header().Set("Connection", "close")
			return err
		}
		buf.Grow(int(min(r.ContentLength, 1<<20)) + bytes.MinRead)
		_, err = buf.ReadFrom(body)
	} else {
		err = copyBounded(buf, body, limit, l)
	}
	if err != nil {
		// The deadline stays: the server reads the rest of a body before it
		// lets a connection go, and would wait for ever.
		w.Header().Set("Connection", "close")
		return bodyError(err)
	}
	if timed {
		_ = ctl.SetReadDeadline(time.Time{}) // the next request has its own
	}
	return nil
}

// bodyError says what went wrong while a body came in.
func bodyError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil, isOverload(err):
		return err
	case errors.As(err, &large):
		return &TooLargeError{What: "the request body", Limit: int(large.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &BadRequestError{Field: "body", Err: errors.New("the request body came too slowly; it was not read to its end")}
	}
	var tooLarge *TooLargeError
	if errors.As(err, &tooLarge) {
		return err
	}
	return &BadRequestError{Field: "body", Err: fmt.Errorf("cannot read the request body: %w", err)}
}

func writeBody(w http.ResponseWriter, code int, enc otlp.Encoding, body []byte) {
	w.Header().Set("Content-Type", contentType(enc))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // the sender is gone: nobody to tell
}

func contentType(enc otlp.Encoding) string {
	if enc == otlp.Protobuf {
		return protobufType
	}
	return jsonType
}

// fail answers with a google.rpc.Status in the request's encoding.
func (p *Pipeline) fail(w http.ResponseWriter, r *http.Request, id string, enc otlp.Encoding, err error) {
	f := classify(err)
	p.logFailure(f, err, r.URL.Path, id, r.Header.Get(tenant.Header))
	setRetryAfter(w, f)
	writeBody(w, f.http, enc, encodeStatus(enc, f.status()))
}

func setRetryAfter(w http.ResponseWriter, f failure) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.retryAfter+time.Second-1)/time.Second)))
	}
	if f.http == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
}

func encodeStatus(enc otlp.Encoding, st *status.Status) []byte {
	var body []byte
	var err error
	if enc == otlp.Protobuf {
		body, err = proto.Marshal(st.Proto())
	} else {
		body, err = protojson.Marshal(st.Proto())
	}
	if err != nil {
		return nil // a Status made here marshals; the code and headers still say it
	}
	return body
}

// WriteError answers a request of another protocol than OTLP in plain text,
// with the code and headers that OTLP would have. id is what RequestID gave.
func (p *Pipeline) WriteError(w http.ResponseWriter, r *http.Request, id string, err error) {
	f := classify(err)
	p.logFailure(f, err, r.URL.Path, id, r.Header.Get(tenant.Header))
	setRetryAfter(w, f)
	http.Error(w, f.message, f.http)
}

// logFailure logs a request that failed: a fault of ours loudly, the sender's
// only when somebody looks.
func (p *Pipeline) logFailure(f failure, err error, where, id, tenantName string) {
	level := p.log.Debug
	if f.http >= 500 && !isOverload(err) {
		level = p.log.Error
	}
	level("request not taken", "where", where, "code", f.http, "request_id", id, "tenant", clip(tenantName, 150), "err", err)
}
