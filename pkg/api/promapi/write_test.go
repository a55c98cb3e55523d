package promapi

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestRemoteWriteAnswers(t *testing.T) {
	snap := func(s string) []byte { return snappy.Encode(nil, []byte(s)) }
	zw, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	var rej model.Rejections
	rej.Add(2, "too old")
	const v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	for _, c := range []struct {
		name, contentType, encoding string
		body                        []byte
		result                      WriteResult
		err                         error
		status                      int
		want                        string
	}{
		{"v1", "application/x-protobuf", "snappy", snap("hello"), WriteResult{Samples: 1}, nil, 204, ""},
		{"no headers", "", "", snap("hello"), WriteResult{}, nil, 204, ""},
		{"v2", v2, "snappy", snap("hello"), WriteResult{Samples: 1, Histograms: 2, Exemplars: 3}, nil, 204, ""},
		{"zstd", v2, "zstd", zw.EncodeAll([]byte("hello"), nil), WriteResult{}, nil, 204, ""},
		{"partly", v2, "snappy", snap("hello"), WriteResult{Samples: 1, Rejections: rej}, nil, 400, "2 samples were not taken, the rest was: too old"},
		{"type", "text/plain", "snappy", snap("hello"), WriteResult{}, nil, 415, "content type"},
		{"message", "application/x-protobuf;proto=x", "snappy", snap("hello"), WriteResult{}, nil, 415, `message "x" is not known`},
		{"encoding", "", "br", snap("hello"), WriteResult{}, nil, 415, `content encoding "br" is not known`},
		{"bad snappy", "", "snappy", []byte("nonsense"), WriteResult{}, nil, 400, "cannot decompress snappy"},
		{"bad zstd", "", "zstd", []byte("nonsense"), WriteResult{}, nil, 400, "cannot decompress zstd"},
		{"snappy bomb", "", "snappy", snap(strings.Repeat("0", 1<<20)), WriteResult{}, nil, 413, "larger than allowed"},
		{"zstd bomb", "", "zstd", zw.EncodeAll(make([]byte, 1<<20), nil), WriteResult{}, nil, 413, "larger than allowed"},
		{"large", "", "snappy", make([]byte, 1<<20), WriteResult{}, nil, 413, "body is larger than"},
		{"garbage", "", "snappy", snap("hello"), WriteResult{}, errors.Join(model.ErrInvalid), 400, "invalid"},
		{"full", "", "snappy", snap("hello"), WriteResult{}, &model.OverloadError{Reason: "disk full", RetryAfter: time.Second}, 503, "disk full"},
		{"limit", "", "snappy", snap("hello"), WriteResult{}, &model.OverloadError{Reason: "limit", RetryAfter: 1500 * time.Millisecond, Tenant: true}, 429, "limit"},
		{"fault", "", "snappy", snap("hello"), WriteResult{}, errors.New("oops"), 500, "oops"},
	} {
		t.Run(c.name, func(t *testing.T) {
			called := false
			h := NewWriteHandler(WriteOptions{MaxBytes: 64 << 10, Write: func(_ context.Context, id tenant.ID, req *WriteRequest) (WriteResult, error) {
				called = true
				require.Equal(t, tenant.ID("a"), id)
				require.Equal(t, "hello", string(req.Body))
				require.Equal(t, c.body, req.Payload)
				return c.result, c.err
			}})
			r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(c.body))
			r.Header.Set("X-Scope-OrgID", "a")
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("Content-Encoding", c.encoding)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), c.want)
			require.Equal(t, c.status/100 == 2 || called, called)
			if c.name == "v2" {
				require.Equal(t, []string{"1", "2", "3"}, []string{w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"),
					w.Header().Get("X-Prometheus-Remote-Write-Histograms-Written"), w.Header().Get("X-Prometheus-Remote-Write-Exemplars-Written")})
			}
			if c.name == "limit" {
				require.Equal(t, "2", w.Header().Get("Retry-After"))
			}
		})
	}
}
