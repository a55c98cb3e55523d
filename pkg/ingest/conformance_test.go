package ingest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// The points are those of the list of what an OTLP receiver must obey, which
// was drawn from opentelemetry-proto's docs/specification.md; each case names
// its points. A case is a payload in JSON, sent as HTTP JSON, as HTTP protobuf
// and over gRPC (both transcoded by pdata or given), and what must come back.

const (
	traceHex = "5b8efff798038103d269b633813fc60c"
	spanHex  = "eee19b7ec3c1b174"
	nowNanos = "1772366400000000000" // arrival
)

func logsWith(fields string) string {
	return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"scopeLogs":[{"logRecords":[{` + fields + `}]}]}]}`
}

func spansWith(fields string) string {
	return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + fields + `}]}]}]}`
}

func goodSpan(more string) string {
	return spansWith(`"traceId":"` + traceHex + `","spanId":"` + spanHex + `","name":"n","startTimeUnixNano":"` + nowNanos + `","endTimeUnixNano":"` + nowNanos + `"` + more)
}

func metric(name, data string) string {
	return `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"` + name + `",` + data + `}]}]}]}`
}

func histogram(fields string) string {
	return metric("h", `"histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"`+nowNanos+`",`+fields+`}]}`)
}

// transport sends a payload one way.
type transport struct {
	name string
	send func(t *testing.T, s Signal, jsonBody string) answer
}

// answer is what came back, in the words of HTTP and gRPC alike.
type answer struct {
	ok       bool
	retry    bool // may be sent again
	rejected int64
	message  string
	partial  bool // partial_success is set
	fault    bool // says "our fault" where it is the sender's
}

func toProtobuf(t *testing.T, s Signal, text string) []byte {
	t.Helper()
	var out []byte
	var err error
	switch s {
	case SignalLogs:
		r := plogotlp.NewExportRequest()
		require.NoError(t, r.UnmarshalJSON([]byte(text)))
		out, err = r.MarshalProto()
	case SignalTraces:
		r := ptraceotlp.NewExportRequest()
		require.NoError(t, r.UnmarshalJSON([]byte(text)))
		out, err = r.MarshalProto()
	case SignalMetrics:
		r := pmetricotlp.NewExportRequest()
		require.NoError(t, r.UnmarshalJSON([]byte(text)))
		out, err = r.MarshalProto()
	}
	require.NoError(t, err)
	return out
}

func post(t *testing.T, url, contentType, encoding string, body io.Reader, more ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, body)
	require.NoError(t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	for i := 0; i+1 < len(more); i += 2 {
		req.Header.Set(more[i], more[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func read(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return b
}

// httpAnswer checks what every answer must be (points 3, 5, 15, 51, 52) and
// reads it.
func httpAnswer(t *testing.T, s Signal, r *http.Response, wantType string) answer {
	t.Helper()
	body := read(t, r)
	require.Equal(t, wantType, r.Header.Get("Content-Type"), "point 5: the response has the request's Content-Type")
	require.NotEmpty(t, r.Header.Get("X-Request-Id"))
	require.Less(t, len(body), 4<<20, "point 51")
	a := answer{ok: r.StatusCode == 200}
	if !a.ok {
		require.GreaterOrEqual(t, r.StatusCode, 400)
		st := &rpcstatus.Status{}
		if wantType == jsonType {
			require.NoError(t, protojson.Unmarshal(body, st), "point 15: %s", body)
		} else {
			require.NoError(t, proto.Unmarshal(body, st), "point 15")
		}
		require.NotZero(t, st.Code)
		a.message = st.Message
		a.retry = r.StatusCode == 429 || r.StatusCode >= 502 && r.StatusCode <= 504
		a.fault = r.StatusCode >= 500
		if r.StatusCode == 400 {
			require.NotEmpty(t, st.Details, "point 16: 400 carries BadRequest")
			require.NoError(t, st.Details[0].UnmarshalTo(&errdetails.BadRequest{}))
		}
		return a
	}
	a.rejected, a.message, a.partial = partial(t, s, body, wantType == jsonType)
	return a
}

// partial reads a response by hand: pdata does not tell unset from empty.
func partial(t *testing.T, s Signal, body []byte, isJSON bool) (rejected int64, message string, set bool) {
	t.Helper()
	if isJSON {
		var v struct {
			PartialSuccess *map[string]string `json:"partialSuccess"`
		}
		require.NoError(t, json.Unmarshal(body, &v), "point 7: the body is an object: %s", body)
		if v.PartialSuccess == nil {
			return 0, "", false
		}
		rejected, err := strconv.ParseInt((*v.PartialSuccess)[rejectedField[s]], 10, 64)
		require.NoError(t, err)
		return rejected, (*v.PartialSuccess)["errorMessage"], true
	}
	r := plogotlp.NewExportResponse() // the three have one shape
	require.NoError(t, r.UnmarshalProto(body))
	return r.PartialSuccess().RejectedLogRecords(), r.PartialSuccess().ErrorMessage(), len(body) > 0
}

func grpcAnswer(t *testing.T, resp plogotlp.ExportResponse, err error) answer {
	t.Helper()
	if err == nil {
		return answer{ok: true, rejected: resp.PartialSuccess().RejectedLogRecords(), message: resp.PartialSuccess().ErrorMessage(),
			partial: resp.PartialSuccess().ErrorMessage() != "" || resp.PartialSuccess().RejectedLogRecords() != 0}
	}
	st := status.Convert(err)
	a := answer{message: st.Message()}
	switch st.Code() { // point 55
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		a.retry, a.fault = true, true
	case codes.Internal, codes.Unknown:
		a.fault = true
	}
	return a
}

// bytesCodec sends bytes as they are: a gRPC client for broken payloads.
type bytesCodec struct{}

func (bytesCodec) Name() string                    { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(b []byte, v any) error { *v.(*[]byte) = bytes.Clone(b); return nil }

var exportMethod = map[Signal]string{
	SignalLogs:    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
	SignalTraces:  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	SignalMetrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}

func exportBytes(t *testing.T, c *grpc.ClientConn, s Signal, body []byte, opts ...grpc.CallOption) answer {
	t.Helper()
	var out []byte
	err := c.Invoke(context.Background(), exportMethod[s], &body, &out, append(opts, grpc.ForceCodec(bytesCodec{}))...)
	resp := plogotlp.NewExportResponse()
	require.NoError(t, resp.UnmarshalProto(out))
	return grpcAnswer(t, resp, err)
}

func listenGRPC(t testing.TB, p *Pipeline) *grpc.ClientConn {
	cfg := DefaultGRPCConfig()
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	srv, err := p.ListenGRPC(context.Background(), cfg)
	require.NoError(t, err)
	c, err := grpc.NewClient(srv.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		require.NoError(t, srv.Close(context.Background()))
		require.NoError(t, <-srv.Done())
	})
	return c
}

// listenHTTP goes through the Collector's server, as in production.
func listenHTTP(t testing.TB, p *Pipeline) string {
	cfg := DefaultHTTPConfig()
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	srv, err := p.ListenHTTP(context.Background(), cfg, p.HTTPHandler())
	require.NoError(t, err)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, srv.Close(context.Background()))
		require.NoError(t, <-srv.Done())
	})
	return "http://" + srv.Addr().String()
}

// transports are the three ways in.
func transports(t *testing.T, p *Pipeline) []transport {
	url, conn := listenHTTP(t, p), listenGRPC(t, p)
	return []transport{
		{"http json", func(t *testing.T, s Signal, text string) answer {
			r := post(t, url+"/v1/"+s.String(), "application/json", "", strings.NewReader(text))
			return httpAnswer(t, s, r, jsonType)
		}},
		{"http protobuf", func(t *testing.T, s Signal, text string) answer {
			r := post(t, url+"/v1/"+s.String(), "application/x-protobuf", "", bytes.NewReader(toProtobuf(t, s, text)))
			return httpAnswer(t, s, r, protobufType)
		}},
		{"grpc", func(t *testing.T, s Signal, text string) answer {
			return exportBytes(t, conn, s, toProtobuf(t, s, text))
		}},
	}
}

func TestConformanceOfPayloads(t *testing.T) {
	manyAttrs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `{"key":"k%d","value":{"intValue":"%d"}},`, i, i)
		}
		return `"attributes":[` + strings.TrimSuffix(b.String(), ",") + `]`
	}
	deep := strings.Repeat(`{"arrayValue":{"values":[`, 60) + `{}` + strings.Repeat(`]}}`, 60)
	cases := []struct {
		points   string
		name     string
		signal   Signal
		body     string
		rejected int64
		says     string // part of the message; with rejected 0 a warning
		kept     int    // items that reach the store
		jsonOnly bool   // pdata cannot make it
	}{
		{points: "3 4", name: "full success", signal: SignalTraces, body: goodSpan(""), kept: 1},
		{points: "3 4", name: "full success", signal: SignalLogs, body: logsWith(`"timeUnixNano":"` + nowNanos + `","body":{"stringValue":"hi"}`), kept: 1},
		{points: "3 4", name: "full success", signal: SignalMetrics, body: metric("g", `"gauge":{"dataPoints":[{"timeUnixNano":"`+nowNanos+`","asDouble":1}]}`), kept: 1},
		{points: "8", name: "empty request", signal: SignalLogs, body: `{}`},
		{points: "8", name: "empty request", signal: SignalTraces, body: `{}`},
		{points: "8", name: "empty request", signal: SignalMetrics, body: `{}`},
		{points: "9", name: "empty envelopes", signal: SignalTraces, body: `{"resourceSpans":[{},{"scopeSpans":[{}]}]}`},
		{points: "19", name: "unknown fields", signal: SignalTraces, body: goodSpan(`,"futureField":{"a":[1,{"b":2}]},"x":null`), kept: 1},
		{points: "21", name: "upper-case ids", signal: SignalTraces, body: strings.ToUpper(traceHex)[:0] + strings.Replace(goodSpan(""), traceHex, strings.ToUpper(traceHex), 1), kept: 1},
		{points: "23", name: "no trace id", signal: SignalTraces, body: strings.Replace(goodSpan(""), traceHex, "", 1), rejected: 1, says: "traceId"},
		{points: "23", name: "trace id of zeroes", signal: SignalTraces, body: strings.Replace(goodSpan(""), traceHex, strings.Repeat("0", 32), 1), rejected: 1, says: "traceId"},
		{points: "23", name: "span id of zeroes", signal: SignalTraces, body: strings.Replace(goodSpan(""), spanHex, strings.Repeat("0", 16), 1), rejected: 1, says: "spanId"},
		{points: "23", name: "short trace id", signal: SignalTraces, body: strings.Replace(goodSpan(""), traceHex, traceHex[:30], 1), rejected: 1, says: "16 bytes", jsonOnly: true},
		{points: "24", name: "64-bit as number", signal: SignalTraces, body: strings.ReplaceAll(goodSpan(""), `"`+nowNanos+`"`, nowNanos), kept: 1},
		{points: "25", name: "NaN and infinities", signal: SignalMetrics, kept: 3, body: metric("g", `"gauge":{"dataPoints":[{"timeUnixNano":"`+nowNanos+`","asDouble":"NaN"},
			{"timeUnixNano":"`+nowNanos+`","asDouble":"Infinity"},{"timeUnixNano":"`+nowNanos+`","asDouble":"-Infinity"}]}`)},
		{points: "26", name: "bytes", signal: SignalLogs, body: logsWith(`"body":{"bytesValue":"AAH/"}`), kept: 1},
		{points: "27", name: "empty and nested values", signal: SignalLogs, kept: 1,
			body: logsWith(`"body":{},"attributes":[{"key":"a"},{"key":"b","value":{"kvlistValue":{"values":[{"key":"c","value":{"arrayValue":{}}}]}}}]`)},
		{points: "32", name: "deep value", signal: SignalLogs, body: logsWith(`"body":` + deep), kept: 1},
		{points: "34", name: "times at the ends", signal: SignalTraces, kept: 1, rejected: 1, says: "ahead of the clock",
			body: `{"resourceSpans":[{"scopeSpans":[{"spans":[
				{"traceId":"` + traceHex + `","spanId":"` + spanHex + `","startTimeUnixNano":"1","endTimeUnixNano":"18446744073709551615"},
				{"traceId":"` + traceHex + `","spanId":"` + spanHex + `","startTimeUnixNano":"18446744073709551615"}]}]}]}`},
		{points: "35", name: "empty and equal keys", signal: SignalMetrics, kept: 1, says: "empty key",
			body: metric("g", `"gauge":{"dataPoints":[{"timeUnixNano":"`+nowNanos+`","asInt":"1","attributes":[{"key":"","value":{"intValue":1}},{"key":"a","value":{"intValue":1}},{"key":"a","value":{"intValue":2}}]}]}`)},
		{points: "36", name: "huge key", signal: SignalLogs, kept: 1, says: "key longer",
			body: logsWith(`"attributes":[{"key":"` + strings.Repeat("k", 100_000) + `","value":{"intValue":1}}]`)},
		{points: "36", name: "huge value", signal: SignalLogs, kept: 1, says: "value longer",
			body: logsWith(`"attributes":[{"key":"k","value":{"stringValue":"` + strings.Repeat("v", 1<<20) + `"}}]`)},
		{points: "36", name: "many attributes", signal: SignalLogs, kept: 1, says: "beyond the limit", body: logsWith(manyAttrs(3000))},
		{points: "37", name: "partly bad", signal: SignalTraces, kept: 1, rejected: 1, says: "traceId",
			body: `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"` + traceHex + `","spanId":"` + spanHex + `","startTimeUnixNano":"5"},{"spanId":"` + spanHex + `"}]}]}]}`},
		{points: "39", name: "bounds not increasing", signal: SignalMetrics, rejected: 1, says: "increasing", body: histogram(`"count":"3","bucketCounts":["1","1","1"],"explicitBounds":[2,1]`)},
		{points: "39", name: "counts and bounds", signal: SignalMetrics, rejected: 1, says: "one more", body: histogram(`"count":"2","bucketCounts":["1","1"],"explicitBounds":[1,2]`)},
		{points: "39", name: "sum of counts", signal: SignalMetrics, rejected: 1, says: "sum of bucketCounts", body: histogram(`"count":"5","bucketCounts":["1","1"],"explicitBounds":[1]`)},
		{points: "39", name: "counts beyond 64 bits", signal: SignalMetrics, rejected: 1, says: "sum of bucketCounts", body: histogram(`"count":"0","bucketCounts":["18446744073709551615","1"],"explicitBounds":[1]`)},
		{points: "39", name: "histogram without buckets", signal: SignalMetrics, kept: 1, body: histogram(`"count":"5","sum":3`)},
		{points: "39", name: "exponential histogram", signal: SignalMetrics, rejected: 1, says: "exponential",
			body: metric("e", `"exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"`+nowNanos+`","count":"9","zeroCount":"1","positive":{"bucketCounts":["1"]}}]}`)},
		{points: "39", name: "temporality unspecified", signal: SignalMetrics, rejected: 1, says: "aggregationTemporality",
			body: metric("s", `"sum":{"dataPoints":[{"timeUnixNano":"`+nowNanos+`","asInt":"1"}]}`)},
		{points: "39", name: "no name", signal: SignalMetrics, rejected: 1, says: "without a name",
			body: metric("", `"gauge":{"dataPoints":[{"timeUnixNano":"`+nowNanos+`","asInt":"1"}]}`)},
		{points: "40", name: "no recorded value", signal: SignalMetrics, kept: 1, body: histogram(`"flags":1,"count":"5","bucketCounts":["1"],"explicitBounds":[1]`)},
		{points: "42", name: "upper trace flags", signal: SignalTraces, body: goodSpan(`,"flags":4294967295`), kept: 1},
	}
	for _, how := range []int{0, 1, 2} {
		f := newFixture(t, nil)
		tr := transports(t, f.Pipeline)[how]
		for _, c := range cases {
			if c.jsonOnly && how > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s/point %s %s %s", tr.name, c.points, c.signal, c.name), func(t *testing.T) {
				logs, spans, points := f.store.counts()
				a := tr.send(t, c.signal, c.body)
				require.True(t, a.ok, a.message)
				require.Equal(t, c.rejected, a.rejected, a.message)
				if c.says == "" {
					require.False(t, a.partial, "point 4: partial_success must be unset: %s", a.message)
				} else {
					require.Contains(t, a.message, c.says, "points 37 and 38")
				}
				logs2, spans2, points2 := f.store.counts()
				require.Equal(t, c.kept, logs2-logs+spans2-spans+points2-points)
			})
		}
	}
}

func TestConformanceOfBadBytes(t *testing.T) {
	good := hex.EncodeToString(toProtobuf(t, SignalTraces, goodSpan("")))
	cases := []struct{ points, name, body string }{ // body in hex
		{"14 56", "not protobuf", "ffffffffffffffffffffff"},
		{"14 56", "cut off", good[:len(good)-6]},
		{"14 56", "length beyond the end", "0aff7f00"},
		{"32", "groups without end", strings.Repeat("0b", 100_000)},
		{"14 56", "wrong wire type", "0801"},
	}
	f := newFixture(t, nil)
	url, conn := listenHTTP(t, f.Pipeline), listenGRPC(t, f.Pipeline)
	for _, c := range cases {
		t.Run("point "+c.points+" "+c.name, func(t *testing.T) {
			raw, err := hex.DecodeString(c.body)
			require.NoError(t, err)
			r := post(t, url+"/v1/traces", protobufType, "", bytes.NewReader(raw))
			require.Equal(t, 400, r.StatusCode)
			require.False(t, httpAnswer(t, SignalTraces, r, protobufType).retry)
			a := exportBytes(t, conn, SignalTraces, raw)
			require.False(t, a.ok || a.retry || a.fault, "INVALID_ARGUMENT, not INTERNAL: %s", a.message)
		})
	}
	require.Empty(t, f.log.records(t), "what is refused is not in the log")

	t.Run("point 20 unknown protobuf fields", func(t *testing.T) {
		raw, err := hex.DecodeString(good + "fa3f0568656c6c6f" + "9f3f")
		require.NoError(t, err)
		raw = raw[:len(raw)-2]
		require.True(t, exportBytes(t, conn, SignalTraces, raw).ok)
		require.Equal(t, 200, post(t, url+"/v1/traces", protobufType, "", bytes.NewReader(raw)).StatusCode)
	})
	t.Run("point 33 invalid UTF-8", func(t *testing.T) {
		raw := bytes.Replace(toProtobuf(t, SignalLogs, logsWith(`"body":{"stringValue":"abcdef"}`)), []byte("abcdef"), []byte("ab\xff\xfeef"), 1)
		require.True(t, exportBytes(t, conn, SignalLogs, raw).ok)
		require.Equal(t, "ab\uFFFDef", f.store.logs["default"][0].Body.Str())
	})
	t.Run("point 62 a good request after all that", func(t *testing.T) {
		require.True(t, exportBytes(t, conn, SignalTraces, toProtobuf(t, SignalTraces, goodSpan(""))).ok)
	})
}

func TestConformanceOfJSON(t *testing.T) {
	f := newFixture(t, nil)
	url := listenHTTP(t, f.Pipeline)
	send := func(t *testing.T, s Signal, body string) *http.Response {
		return post(t, url+"/v1/"+s.String(), "application/json", "", strings.NewReader(body))
	}
	for _, c := range []struct {
		points, name string
		signal       Signal
		body         string
	}{
		{"22", "base64 ids", SignalTraces, strings.Replace(goodSpan(""), traceHex, base64.StdEncoding.EncodeToString(make([]byte, 16)), 1)},
		{"28", "enum by name", SignalTraces, goodSpan(`,"kind":"SPAN_KIND_SERVER"`)},
		{"28", "enum as nonsense", SignalTraces, goodSpan(`,"kind":{}`)},
		{"30", "array", SignalLogs, `[]`},
		{"30", "text", SignalLogs, `"hello"`},
		{"14", "no body", SignalLogs, ``},
		{"14", "half an object", SignalLogs, `{"resourceLogs":[{`},
		{"31", "trailing garbage", SignalLogs, `{} garbage`},
		{"32", "deep nesting", SignalLogs, strings.Repeat("[", 200_000)},
		{"32", "deep nesting", SignalLogs, `{"x":` + strings.Repeat(`{"a":`, 100_000)},
		{"26", "bytes that are not base64", SignalLogs, logsWith(`"body":{"bytesValue":"%%%"}`)},
		{"24", "not a number", SignalLogs, logsWith(`"timeUnixNano":"yesterday"`)},
	} {
		t.Run("point "+c.points+" "+c.name, func(t *testing.T) {
			r := send(t, c.signal, c.body)
			require.Equal(t, 400, r.StatusCode)
			require.False(t, httpAnswer(t, c.signal, r, jsonType).retry)
		})
	}
	t.Run("point 29 snake_case is unknown", func(t *testing.T) {
		a := httpAnswer(t, SignalTraces, send(t, SignalTraces, strings.Replace(goodSpan(""), "traceId", "trace_id", 1)), jsonType)
		require.EqualValues(t, 1, a.rejected)
	})
	t.Run("point 33 invalid UTF-8", func(t *testing.T) {
		require.Equal(t, 200, send(t, SignalLogs, logsWith("\"body\":{\"stringValue\":\"a\xffb\"}")).StatusCode)
	})
	t.Run("point 41 a log without time", func(t *testing.T) {
		f.store.logs["default"] = nil
		send(t, SignalLogs, logsWith(`"observedTimeUnixNano":"77"`))
		send(t, SignalLogs, logsWith(`"body":{"stringValue":"x"}`))
		require.EqualValues(t, 77, f.store.logs["default"][0].Time)
		require.Equal(t, arrival.UnixNano(), f.store.logs["default"][1].Time)
	})
	require.Equal(t, 200, send(t, SignalTraces, goodSpan("")).StatusCode, "point 62")
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zstdPacked(t *testing.T, b []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	defer e.Close()
	return e.EncodeAll(b, nil)
}

func TestConformanceOfHTTP(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxRequestBytes = 1 << 20 })
	url := listenHTTP(t, f.Pipeline)
	good := []byte(goodSpan(""))
	raw := toProtobuf(t, SignalTraces, goodSpan(""))
	status := func(r *http.Response) int { return r.StatusCode }

	t.Run("points 1 2 6 both encodings on one port, all compressions", func(t *testing.T) {
		for _, path := range []string{"/v1/traces", "/otlp/v1/traces"} {
			require.Equal(t, 200, status(post(t, url+path, jsonType, "", bytes.NewReader(good))))
			require.Equal(t, 200, status(post(t, url+path, protobufType, "gzip", bytes.NewReader(gzipped(t, raw)))))
			require.Equal(t, 200, status(post(t, url+path, jsonType, "gzip", bytes.NewReader(gzipped(t, good)))))
			require.Equal(t, 200, status(post(t, url+path, protobufType, "zstd", bytes.NewReader(zstdPacked(t, raw)))))
			require.Equal(t, 200, status(post(t, url+path, protobufType, "identity", bytes.NewReader(raw))))
		}
		all := f.log.records(t)
		last := all[len(all)-2]
		require.Equal(t, "otlp-traces-protobuf+zstd", last.Encoding)
		require.Equal(t, zstdPacked(t, raw), last.Body, "the log has the payload as it came")
	})
	t.Run("point 10 Content-Type parameters", func(t *testing.T) {
		r := post(t, url+"/v1/traces", "application/json; charset=utf-8", "", bytes.NewReader(good))
		require.Equal(t, 200, r.StatusCode)
		require.Equal(t, jsonType, r.Header.Get("Content-Type"))
	})
	t.Run("point 11 GET", func(t *testing.T) {
		r, err := http.Get(url + "/v1/traces")
		require.NoError(t, err)
		defer r.Body.Close()
		require.Equal(t, 405, r.StatusCode)
		require.Equal(t, "POST", r.Header.Get("Allow"))
	})
	t.Run("points 12 13 Content-Type", func(t *testing.T) {
		for _, ct := range []string{"text/plain", "", ";;", "application/xml; a=b"} {
			require.Equal(t, 415, status(post(t, url+"/v1/traces", ct, "", bytes.NewReader(good))))
		}
	})
	t.Run("point 17 bad gzip", func(t *testing.T) {
		require.Equal(t, 400, status(post(t, url+"/v1/traces", jsonType, "gzip", bytes.NewReader(good))))
		packed := gzipped(t, good)
		require.Equal(t, 400, status(post(t, url+"/v1/traces", jsonType, "gzip", bytes.NewReader(packed[:len(packed)-9]))))
		require.Equal(t, 400, status(post(t, url+"/v1/traces", jsonType, "zstd", bytes.NewReader(good))))
	})
	t.Run("point 18 unknown Content-Encoding", func(t *testing.T) {
		require.Equal(t, 415, status(post(t, url+"/v1/traces", jsonType, "br", bytes.NewReader(good))))
	})
	t.Run("points 43 44 chunked and Expect", func(t *testing.T) {
		body := io.MultiReader(bytes.NewReader(good[:20]), bytes.NewReader(good[20:])) // no length: chunked
		require.Equal(t, 200, status(post(t, url+"/v1/traces", jsonType, "", body, "Expect", "100-continue")))
	})
	t.Run("point 45 Accept-Encoding", func(t *testing.T) {
		require.Equal(t, 200, status(post(t, url+"/v1/traces", jsonType, "", bytes.NewReader(good), "Accept-Encoding", "gzip")))
	})
	t.Run("points 46 47 keep-alive and concurrency", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				r, err := http.Post(url+"/v1/traces", jsonType, bytes.NewReader(good))
				if err != nil || r.StatusCode != 200 {
					t.Error("request failed", err)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body.Close()
			})
		}
		wg.Wait()
	})
	t.Run("point 48 body limit", func(t *testing.T) {
		large := []byte(logsWith(`"body":{"stringValue":"` + strings.Repeat("x", 1<<20) + `"}`))
		r := post(t, url+"/v1/logs", jsonType, "", bytes.NewReader(large))
		require.Equal(t, 413, r.StatusCode)
		require.False(t, httpAnswer(t, SignalLogs, r, jsonType).retry)
		require.Equal(t, 413, status(post(t, url+"/v1/logs", jsonType, "", io.MultiReader(bytes.NewReader(large)))), "chunked")
		require.Equal(t, 413, status(post(t, url+"/v1/logs", jsonType, "gzip", bytes.NewReader(gzipped(t, large)))), "after decompression")
		require.Equal(t, 413, status(post(t, url+"/v1/logs", jsonType, "zstd", bytes.NewReader(zstdPacked(t, large)))))
		require.Equal(t, 413, status(post(t, url+"/v1/logs", jsonType, "gzip", bytes.NewReader(gzipped(t, make([]byte, 24<<20))))), "bomb")
	})
	t.Run("point 61 profiles", func(t *testing.T) {
		require.Equal(t, 404, status(post(t, url+"/v1development/profiles", jsonType, "", bytes.NewReader(good))))
	})
	t.Run("request ids", func(t *testing.T) {
		r := post(t, url+"/v1/traces", jsonType, "", bytes.NewReader(good), "X-Request-Id", "abc-1")
		require.Equal(t, "abc-1", r.Header.Get("X-Request-Id"))
		r = post(t, url+"/v1/traces", jsonType, "", bytes.NewReader(good), "X-Request-Id", strings.Repeat("x", 500))
		require.Len(t, r.Header.Get("X-Request-Id"), 16)
	})
	t.Run("tenants", func(t *testing.T) {
		require.Equal(t, 200, status(post(t, url+"/v1/traces", jsonType, "", bytes.NewReader(good), "X-Scope-OrgID", "acme")))
		require.Len(t, f.store.spans["acme"], 1)
		require.Equal(t, 400, status(post(t, url+"/v1/traces", jsonType, "", bytes.NewReader(good), "X-Scope-OrgID", "../etc")))
	})
	require.Equal(t, 200, status(post(t, url+"/v1/traces", jsonType, "", bytes.NewReader(good))), "point 62")
}

func TestConformancePoint60SlowBody(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.BodyTimeout = 50 * time.Millisecond })
	url := listenHTTP(t, f.Pipeline)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "400 Bad Request")
	require.Contains(t, string(answer), "too slowly")
	require.Zero(t, f.budget.inUse())
}

func TestConformanceOfOverload(t *testing.T) {
	f := newFixture(t, nil)
	url, conn := listenHTTP(t, f.Pipeline), listenGRPC(t, f.Pipeline)
	raw := toProtobuf(t, SignalTraces, goodSpan(""))
	export := func() error {
		var out []byte
		return conn.Invoke(context.Background(), exportMethod[SignalTraces], &raw, &out, grpc.ForceCodec(bytesCodec{}))
	}
	for _, c := range []struct {
		name  string
		fail  func()
		code  int
		after string
	}{
		{"store busy", func() {
			f.store.fail = &model.OverloadError{Reason: "head is full", RetryAfter: 1500 * time.Millisecond}
		}, 503, "2"},
		{"tenant limit", func() { f.store.fail = &model.OverloadError{Reason: "yours", Tenant: true} }, 429, "1"},
		{"store broken", func() { f.store.fail = errDisk }, 503, "5"},
		{"log full", func() { f.store.fail, f.log.fail = nil, errDisk }, 503, "5"},
		{"sync failed", func() { f.log.fail = nil; f.log.syncErr.Store(holder{errDisk}) }, 503, ""},
	} {
		t.Run("points 52 53 54 "+c.name, func(t *testing.T) {
			c.fail()
			r := post(t, url+"/v1/traces", protobufType, "", bytes.NewReader(raw))
			require.Equal(t, c.code, r.StatusCode)
			if c.after != "" {
				require.Equal(t, c.after, r.Header.Get("Retry-After"))
			}
			require.NotEmpty(t, r.Header.Get("Retry-After"))
			require.True(t, httpAnswer(t, SignalTraces, r, protobufType).retry)
			st := status.Convert(export())
			require.Equal(t, codes.Unavailable, st.Code())
			require.IsType(t, &errdetails.RetryInfo{}, st.Details()[0])
		})
	}
	f.log.syncErr.Store(holder{})
	require.Eventually(t, func() bool { return export() == nil }, 10*time.Second, 10*time.Millisecond, "point 62: once the disk is well again")
	require.Zero(t, f.budget.inUse())
}

func TestConformanceOfGRPC(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxRequestBytes = 8 << 20 })
	conn := listenGRPC(t, f.Pipeline)
	t.Run("points 1 2 the standard client, plain and gzip", func(t *testing.T) {
		req := ptraceotlp.NewExportRequest()
		require.NoError(t, req.UnmarshalJSON([]byte(goodSpan(""))))
		c := ptraceotlp.NewGRPCClient(conn)
		ctx := metadata.AppendToOutgoingContext(context.Background(), "x-scope-orgid", "acme", "x-request-id", "r1")
		var header metadata.MD
		_, err := c.Export(ctx, req, grpc.Header(&header))
		require.NoError(t, err)
		require.Equal(t, []string{"r1"}, header.Get("x-request-id"))
		_, err = c.Export(ctx, req, grpc.UseCompressor(grpcgzip.Name))
		require.NoError(t, err)
		require.Len(t, f.store.spans["acme"], 2)
		require.Equal(t, "otlp-traces-protobuf+gzip", f.log.records(t)[1].Encoding)
		_, err = c.Export(ctx, req, grpc.UseCompressor("zstd"))
		require.NoError(t, err, "zstd")
	})
	big := func(n int) []byte {
		return toProtobuf(t, SignalLogs, logsWith(`"body":{"stringValue":"`+strings.Repeat("x", n)+`"}`))
	}
	t.Run("point 50 more than 4 MiB", func(t *testing.T) {
		require.True(t, exportBytes(t, conn, SignalLogs, big(5<<20)).ok)
	})
	t.Run("point 49 over the limit", func(t *testing.T) {
		for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(grpcgzip.Name)}} {
			body, out := big(9<<20), []byte(nil)
			err := conn.Invoke(context.Background(), exportMethod[SignalLogs], &body, &out, append(opts, grpc.ForceCodec(bytesCodec{}))...)
			require.Equal(t, codes.ResourceExhausted, status.Code(err), err)
			require.Empty(t, status.Convert(err).Details(), "no RetryInfo")
		}
	})
	t.Run("point 57 unknown method", func(t *testing.T) {
		body, out := []byte{}, []byte(nil)
		err := conn.Invoke(context.Background(), "/opentelemetry.proto.collector.logs.v1.LogsService/Import", &body, &out, grpc.ForceCodec(bytesCodec{}))
		require.Equal(t, codes.Unimplemented, status.Code(err))
	})
	t.Run("point 56 bad tenant", func(t *testing.T) {
		body, out := []byte{}, []byte(nil)
		ctx := metadata.AppendToOutgoingContext(context.Background(), "x-scope-orgid", "a/b")
		err := conn.Invoke(ctx, exportMethod[SignalLogs], &body, &out, grpc.ForceCodec(bytesCodec{}))
		require.Equal(t, codes.InvalidArgument, status.Code(err))
	})
	t.Run("a panic ends one request, not the process", func(t *testing.T) {
		f.store.logs = nil // a write to a nil map
		require.True(t, exportBytes(t, conn, SignalLogs, big(1)).fault)
		f.store.logs = map[tenant.ID][]model.LogRecord{}
	})
	t.Run("point 62", func(t *testing.T) {
		require.True(t, exportBytes(t, conn, SignalLogs, big(1)).ok)
	})
}

func TestConformancePoint51LongMessages(t *testing.T) {
	rej := model.Rejections{Count: 1, Reasons: []string{strings.Repeat("é", 3<<20)}}
	for _, enc := range []otlp.Encoding{otlp.Protobuf, otlp.JSON} {
		require.Less(t, len(response(SignalLogs, enc, rej)), 8192)
	}
	require.LessOrEqual(t, len(classify(fmt.Errorf("%s", rej.Reasons[0])).message), maxMessageBytes)
}

func TestConformancePoint59DefaultPorts(t *testing.T) {
	http, grpc := DefaultHTTPConfig(), DefaultGRPCConfig()
	require.Equal(t, "127.0.0.1:4318", http.NetAddr.Endpoint)
	require.Equal(t, "127.0.0.1:4317", grpc.NetAddr.Endpoint)
}
