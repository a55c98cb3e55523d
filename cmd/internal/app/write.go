package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/prompb"

	"braid/pkg/api/promapi"
	"braid/pkg/ingest"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// The names under which remote write is kept in the ingest log: never change.
const (
	remoteWrite1 = "prometheus-remote-write-1"
	remoteWrite2 = "prometheus-remote-write-2"
)

// registerRemoteWrite tells the pipeline how to replay remote write.
func registerRemoteWrite(s *stores) {
	for version, name := range map[int]string{1: remoteWrite1, 2: remoteWrite2} {
		for _, packed := range []string{"", "+snappy", "+zstd"} {
			s.pipeline.Register(ingest.Protocol{Name: name + packed, Signal: ingest.SignalMetrics,
				Store: func(ctx context.Context, t tenant.ID, pos model.Position, body []byte) (model.Rejections, error) {
					plain, err := unpackWrite(packed, body)
					if err != nil {
						return model.Rejections{}, err
					}
					_, rej, err := s.metrics.AppendRemoteWrite(ctx, t, pos, version, plain)
					return rej, err
				}})
		}
	}
}

// maxWrite bounds a remote-write message after decompression.
const maxWrite = 64 << 20

func unpackWrite(packed string, body []byte) ([]byte, error) {
	switch packed {
	case "+snappy":
		if n, err := snappy.DecodedLen(body); err != nil || n > maxWrite {
			return nil, fmt.Errorf("%w: snappy body", model.ErrInvalid)
		}
		return snappy.Decode(nil, body)
	case "+zstd":
		r, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderMaxMemory(maxWrite))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(io.LimitReader(r, maxWrite))
	}
	return body, nil
}

// acceptWrite puts a remote-write request into the log and the store.
func (s *stores) acceptWrite(ctx context.Context, t tenant.ID, req *promapi.WriteRequest) (promapi.WriteResult, error) {
	name := remoteWrite1
	if req.Version == 2 {
		name = remoteWrite2
	}
	if req.Encoding != "" {
		name += "+" + req.Encoding
	}
	var out promapi.WriteResult
	rej, err := s.pipeline.Accept(ctx, t, ingest.Payload{Signal: ingest.SignalMetrics, Encoding: name, Body: req.Payload},
		func(pos model.Position) (model.Rejections, error) {
			stats, rej, err := s.metrics.AppendRemoteWrite(ctx, t, pos, req.Version, req.Body)
			out.Samples, out.Histograms, out.Exemplars = stats.Samples, stats.Histograms, stats.Exemplars
			return rej, err
		})
	out.Rejections = rej
	return out, err
}

// writeHandler serves /api/v1/write; nil without stores.
func (a *App) writeHandler() http.Handler {
	if a.local == nil {
		return nil
	}
	return promapi.NewWriteHandler(promapi.WriteOptions{Write: a.local.acceptWrite, MaxBytes: maxWrite})
}

// remoteWriter sends recorded series to an ingester in another process.
type remoteWriter struct {
	url    string
	tenant tenant.ID
	client *http.Client
}

func newRemoteWriter(base string, t tenant.ID) *remoteWriter {
	return &remoteWriter{url: strings.TrimSuffix(base, "/") + "/api/v1/write", tenant: t, client: &http.Client{Timeout: 30 * time.Second}}
}

// maxWriteTries bounds the attempts of one write; between them it waits as the
// receiver says, or a second.
const maxWriteTries = 3

func (w *remoteWriter) write(ctx context.Context, req *prompb.WriteRequest) error {
	raw, err := req.Marshal()
	if err != nil {
		return err
	}
	body := snappy.Encode(nil, raw)
	for try := 1; ; try++ {
		retry, err := w.once(ctx, body)
		if err == nil || !retry || try == maxWriteTries {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

func (w *remoteWriter) once(ctx context.Context, body []byte) (retry bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	r.Header.Set(tenant.Header, string(w.tenant))
	resp, err := w.client.Do(r)
	if err != nil {
		return true, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	return resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests, fmt.Errorf("%s answered %s: %s", w.url, resp.Status, text)
}
