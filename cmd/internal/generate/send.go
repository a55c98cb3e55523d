package generate

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // the compressor used below
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// sender sends batches over HTTP or gRPC and tries again as OTLP says.
type sender struct {
	base    string // of HTTP; "" with gRPC
	headers map[string]string
	client  *http.Client
	conn    *grpc.ClientConn
	sent    counts
}

type counts struct{ spans, logs, points, requests, rejected, retries int64 }

func dial(o Options) (*sender, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("cannot read endpoint %q: %w", o.Endpoint, err)
	}
	s := &sender{headers: o.Headers}
	switch u.Scheme {
	case "http", "https":
		s.base, s.client = strings.TrimRight(o.Endpoint, "/"), &http.Client{Timeout: time.Minute}
	case "grpc", "grpcs":
		creds := insecure.NewCredentials()
		if u.Scheme == "grpcs" {
			creds = credentials.NewClientTLSFromCert(nil, "")
		}
		if s.conn, err = grpc.NewClient(u.Host, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip"))); err != nil {
			return nil, fmt.Errorf("cannot connect to %q: %w", o.Endpoint, err)
		}
	default:
		return nil, fmt.Errorf("cannot send to %q: scheme must be http, https, grpc or grpcs", o.Endpoint)
	}
	return s, nil
}

func (s *sender) close() {
	if s.conn != nil {
		_ = s.conn.Close() // nothing is under way
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
}

// send sends what a batch has, logs last so that their traces are there.
func (s *sender) send(ctx context.Context, b batch) error {
	if n := b.traces.SpanCount(); n > 0 {
		req := ptraceotlp.NewExportRequestFromTraces(b.traces)
		if err := s.deliver(ctx, "traces", req.MarshalProto, func(ctx context.Context) (int64, error) {
			r, err := ptraceotlp.NewGRPCClient(s.conn).Export(ctx, req)
			if err != nil {
				return 0, err
			}
			return r.PartialSuccess().RejectedSpans(), nil
		}); err != nil {
			return err
		}
		s.sent.spans += int64(n)
	}
	if n := b.metrics.DataPointCount(); n > 0 {
		req := pmetricotlp.NewExportRequestFromMetrics(b.metrics)
		if err := s.deliver(ctx, "metrics", req.MarshalProto, func(ctx context.Context) (int64, error) {
			r, err := pmetricotlp.NewGRPCClient(s.conn).Export(ctx, req)
			if err != nil {
				return 0, err
			}
			return r.PartialSuccess().RejectedDataPoints(), nil
		}); err != nil {
			return err
		}
		s.sent.points += int64(n)
	}
	if n := b.logs.LogRecordCount(); n > 0 {
		req := plogotlp.NewExportRequestFromLogs(b.logs)
		if err := s.deliver(ctx, "logs", req.MarshalProto, func(ctx context.Context) (int64, error) {
			r, err := plogotlp.NewGRPCClient(s.conn).Export(ctx, req)
			if err != nil {
				return 0, err
			}
			return r.PartialSuccess().RejectedLogRecords(), nil
		}); err != nil {
			return err
		}
		s.sent.logs += int64(n)
	}
	return nil
}

// maxTries ends a send to a server that stays away for some two minutes.
const maxTries = 30

// deliver sends one payload until it is taken or refused for good.
func (s *sender) deliver(ctx context.Context, signal string, marshal func() ([]byte, error), export func(context.Context) (int64, error)) error {
	for try := 1; ; try++ {
		var rejected int64
		var err error
		if s.conn != nil {
			rejected, err = export(s.outgoing(ctx))
			err = fromGRPC(err)
		} else {
			rejected, err = s.post(ctx, signal, marshal)
		}
		s.sent.requests++
		s.sent.rejected += rejected
		var wait *waitError
		if err == nil || !errors.As(err, &wait) || try >= maxTries || ctx.Err() != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		s.sent.retries++
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(max(wait.after, 500*time.Millisecond), 10*time.Second)):
		}
	}
}

// waitError is an answer that allows another try.
type waitError struct {
	after time.Duration
	err   error
}

func (w *waitError) Error() string { return w.err.Error() }
func (w *waitError) Unwrap() error { return w.err }

func (s *sender) outgoing(ctx context.Context) context.Context {
	for k, v := range s.headers {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(k), v)
	}
	return ctx
}

func fromGRPC(err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	switch st.Code() {
	case codes.Unavailable, codes.Aborted, codes.DataLoss, codes.OutOfRange, codes.DeadlineExceeded:
		w := &waitError{after: 2 * time.Second, err: fmt.Errorf("cannot send: %w", err)}
		for _, d := range st.Details() {
			if info, ok := d.(*errdetails.RetryInfo); ok {
				w.after = info.RetryDelay.AsDuration()
			}
		}
		return w
	}
	return fmt.Errorf("cannot send: %w", err)
}

func (s *sender) post(ctx context.Context, signal string, marshal func() ([]byte, error)) (rejected int64, err error) {
	plain, err := marshal()
	if err != nil {
		return 0, fmt.Errorf("cannot encode %s: %w", signal, err)
	}
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if _, err := z.Write(plain); err != nil {
		return 0, fmt.Errorf("cannot compress %s: %w", signal, err)
	}
	if err := z.Close(); err != nil {
		return 0, fmt.Errorf("cannot compress %s: %w", signal, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/v1/"+signal, &body)
	if err != nil {
		return 0, fmt.Errorf("cannot make a request to %q: %w", s.base, err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "gzip")
	for k, v := range s.headers {
		req.Header.Set(k, v)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, &waitError{after: 2 * time.Second, err: fmt.Errorf("cannot send %s: %w", signal, err)}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0, &waitError{after: time.Second, err: fmt.Errorf("cannot read the answer to %s: %w", signal, err)}
	}
	switch resp.StatusCode {
	case http.StatusOK:
		// The three responses have one shape.
		r := plogotlp.NewExportResponse()
		if err := r.UnmarshalProto(answer); err != nil {
			return 0, fmt.Errorf("cannot read the answer to %s: %w", signal, err)
		}
		return r.PartialSuccess().RejectedLogRecords(), nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, convErr := strconv.Atoi(resp.Header.Get("Retry-After"))
		if convErr != nil {
			seconds = 2
		}
		return 0, &waitError{after: time.Duration(seconds) * time.Second, err: fmt.Errorf("cannot send %s: answer %s", signal, resp.Status)}
	}
	return 0, fmt.Errorf("cannot send %s: answer %s: %q", signal, resp.Status, answer[:min(len(answer), 300)])
}
