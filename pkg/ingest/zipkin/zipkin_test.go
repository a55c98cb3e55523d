package zipkin

import (
	"context"
	"encoding/hex"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"braid/pkg/ingest/ingesttest"
	"braid/pkg/otlp"
)

const report1 = `[{"traceId":"5B8EFFF798038103d269b633813fc60c","parentId":"1","id":"eee19b7ec3c1b174","kind":"CLIENT","name":"get /","timestamp":1772366400000001,"duration":207000,
	"localEndpoint":{"serviceName":"cart","ipv4":"10.0.0.1"},"remoteEndpoint":{"serviceName":"catalog","ipv6":"::1","port":8080},
	"annotations":[{"timestamp":1772366400000005,"value":"retry"}],"tags":{"http.method":"GET","error":"no route"}}]`

const want = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}},{"key":"host.ip","value":{"stringValue":"10.0.0.1"}}]},"scopeSpans":[{"scope":{"name":"zipkin"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"0000000000000001","name":"get /","kind":3,"startTimeUnixNano":"1772366400000001000","endTimeUnixNano":"1772366400207001000","attributes":[{"key":"error","value":{"stringValue":"no route"}},{"key":"http.method","value":{"stringValue":"GET"}},{"key":"peer.service","value":{"stringValue":"catalog"}},{"key":"network.peer.address","value":{"stringValue":"::1"}},{"key":"network.peer.port","value":{"intValue":"8080"}}],"events":[{"timeUnixNano":"1772366400000005000","name":"retry"}],"status":{"message":"no route","code":2}}]}]}]}`

type fieldsOf []byte

func (f fieldsOf) str(num protowire.Number, s string) fieldsOf {
	return protowire.AppendString(protowire.AppendTag(f, num, protowire.BytesType), s)
}

func (f fieldsOf) varint(num protowire.Number, v uint64) fieldsOf {
	return protowire.AppendVarint(protowire.AppendTag(f, num, protowire.VarintType), v)
}

func (f fieldsOf) fixed(num protowire.Number, v uint64) fieldsOf {
	return protowire.AppendFixed64(protowire.AppendTag(f, num, protowire.Fixed64Type), v)
}

func raw(t testing.TB, text string) string {
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return string(b)
}

// protoReport is report1 as protobuf.
func protoReport(t testing.TB) []byte {
	s := fieldsOf{}.str(1, raw(t, "5b8efff798038103d269b633813fc60c")).str(2, raw(t, "0000000000000001")).str(3, raw(t, "eee19b7ec3c1b174")).
		varint(4, 1).str(5, "get /").fixed(6, 1772366400000001).varint(7, 207000).
		str(8, string(fieldsOf{}.str(1, "cart").str(2, "\x0a\x00\x00\x01"))).
		str(9, string(fieldsOf{}.str(1, "catalog").str(3, strings.Repeat("\x00", 15)+"\x01").varint(4, 8080))).
		str(10, string(fieldsOf{}.fixed(1, 1772366400000005).str(2, "retry"))).
		str(11, string(fieldsOf{}.str(1, "http.method").str(2, "GET"))).str(11, string(fieldsOf{}.str(1, "error").str(2, "no route")))
	return fieldsOf{}.str(1, string(s))
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, contentType, body string
		code                    int
		says                    string
	}{
		{"json", "application/json", report1, 202, ""},
		{"json without type", "", report1, 202, ""},
		{"protobuf", "application/x-protobuf", string(protoReport(t)), 202, ""},
		{"empty", "application/json", "[]", 202, ""},
		{"not json", "application/json", "{", 400, "decode Zipkin"},
		{"not protobuf", "application/x-protobuf", "\xff\xff", 400, "decode Zipkin"},
		{"bad id", "application/json", strings.Replace(report1, "eee19b7ec3c1b174", "xyz", 1), 400, "1 spans were not taken"},
		{"no id", "application/json", `[{"traceId":"1"}]`, 400, "1 spans were not taken"},
		{"no time", "application/json", `[{"traceId":"1","id":"2"}]`, 400, "startTime"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, store := ingesttest.New(t)
			Register(p)
			r := httptest.NewRequest("POST", "/api/v2/spans", strings.NewReader(c.body))
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			w := httptest.NewRecorder()
			Handler(p).ServeHTTP(w, r)
			require.Equal(t, c.code, w.Code, w.Body)
			require.Contains(t, w.Body.String(), c.says)
			if c.code == 202 && c.name != "empty" {
				require.Equal(t, want, store.Text())
				store.Clear()
				require.NoError(t, p.Replay(context.Background()))
				require.Equal(t, want, store.Text())
			}
		})
	}
}

func TestStatusOfTags(t *testing.T) {
	spans, rej := convert([]span{
		{TraceID: "1", ID: "2", Tags: map[string]string{"error": "true"}},
		{TraceID: "1", ID: "3", Tags: map[string]string{"error": "false"}},
		{TraceID: "1", ID: "4", Tags: map[string]string{"error": "x", "otel.status_code": "OK"}},
		{TraceID: "1", ID: "5", Tags: map[string]string{"otel.status_code": "ERROR", "otel.status_description": "boom"}},
		{TraceID: "1", ID: "6", Timestamp: 1 << 63, Duration: 1 << 63, Kind: "server"},
	})
	require.Zero(t, rej.Count)
	var got []string
	for _, s := range spans.Batches[0].Spans {
		got = append(got, s.Status.String()+":"+s.StatusMessage+":"+s.Kind.String())
	}
	require.Equal(t, []string{"error::internal", "unset::internal", "ok:x:internal", "error:boom:internal", "unset::server"}, got)
	require.GreaterOrEqual(t, spans.Batches[0].Spans[4].End, spans.Batches[0].Spans[4].Start)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(report1))
	f.Add(protoReport(f))
	f.Fuzz(func(t *testing.T, body []byte) {
		if spans, err := readJSON(body, &otlp.Buffers{}); err == nil {
			convert(spans)
		}
		if spans, err := readProtobuf(body, &otlp.Buffers{}); err == nil {
			convert(spans)
		}
	})
}
