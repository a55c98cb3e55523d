package lokipush

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"braid/pkg/ingest/ingesttest"
	"braid/pkg/model"
	"braid/pkg/otlp"
)

const jsonPush = `{"streams":[{"stream":{"app":"shop","level":"warn"},"values":[
	["1772366400000000001","first line"],
	["1772366400000000002","second",{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174","request_id":"r1"}]]}]}`

func str(dst []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
}

// protoPush is jsonPush as protobuf, its stream's fields in the other order.
func protoPush() []byte {
	entry := func(nanos uint64, line string, meta ...string) []byte {
		at := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1772366400)
		at = protowire.AppendVarint(protowire.AppendTag(at, 2, protowire.VarintType), nanos)
		e := str(str(nil, 1, string(at)), 2, line)
		for i := 0; i < len(meta); i += 2 {
			e = str(e, 3, string(str(str(nil, 1, meta[i]), 2, meta[i+1])))
		}
		return e
	}
	s := str(nil, 2, string(entry(1, "first line")))
	s = str(s, 2, string(entry(2, "second", "request_id", "r1", "span_id", "eee19b7ec3c1b174", "trace_id", "5b8efff798038103d269b633813fc60c")))
	s = str(s, 1, `{app="shop", level="warn"}`)
	return str(nil, 1, string(s))
}

const want = `{"resourceLogs":[{"resource":{"attributes":[{"key":"app","value":{"stringValue":"shop"}},{"key":"level","value":{"stringValue":"warn"}},{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1772366400000000001","severityNumber":13,"severityText":"warn","body":{"stringValue":"first line"}}]}]}]}
{"resourceLogs":[{"resource":{"attributes":[{"key":"app","value":{"stringValue":"shop"}},{"key":"level","value":{"stringValue":"warn"}},{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1772366400000000002","severityNumber":13,"severityText":"warn","body":{"stringValue":"second"},"attributes":[{"key":"request_id","value":{"stringValue":"r1"}},{"key":"span_id","value":{"stringValue":"eee19b7ec3c1b174"}},{"key":"trace_id","value":{"stringValue":"5b8efff798038103d269b633813fc60c"}}],"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}`

func zip(b string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(b))
	w.Close()
	return out.String()
}

func TestPush(t *testing.T) {
	for _, c := range []struct {
		name, contentType, encoding, body string
		code                              int
		says                              string
	}{
		{"json", "application/json", "", jsonPush, 204, ""},
		{"json with charset and gzip", "application/json; charset=utf-8", "gzip", zip(jsonPush), 204, ""},
		{"protobuf", "application/x-protobuf", "", string(snappy.Encode(nil, protoPush())), 204, ""},
		{"protobuf, snappy said", "application/x-protobuf", "snappy", string(snappy.Encode(nil, protoPush())), 204, ""},
		{"protobuf without type", "", "", string(snappy.Encode(nil, protoPush())), 204, ""},
		{"protobuf with gzip", "application/x-protobuf", "gzip", "x", 400, "snappy"},
		{"not snappy", "application/x-protobuf", "", "hello", 400, "snappy"},
		{"not protobuf", "application/x-protobuf", "", string(snappy.Encode(nil, []byte("\x0a\xff"))), 400, "decode push"},
		{"lying length", "application/x-protobuf", "", "\xff\xff\xff\x0f\x00", 400, "snappy"},
		{"not json", "application/json", "", "{", 400, "decode push"},
		{"bad time", "application/json", "", strings.Replace(jsonPush, "1772366400000000001", "noon", 1), 400, "nanoseconds"},
		{"line as number", "application/json", "", strings.Replace(jsonPush, `"second"`, "5", 1), 400, "not a string"},
		{"value too short", "application/json", "", `{"streams":[{"stream":{},"values":[["1"]]}]}`, 400, "a value is not"},
		{"empty", "application/json", "", `{"streams":[]}`, 204, ""},
		{"from the future", "application/json", "", strings.Replace(jsonPush, "1772366400000000001", "1972366400000000001", 1), 400, "1 entries were not taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, store := ingesttest.New(t)
			Register(p)
			r := httptest.NewRequest("POST", "/loki/api/v1/push", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("Content-Encoding", c.encoding)
			w := httptest.NewRecorder()
			Handler(p).ServeHTTP(w, r)
			require.Equal(t, c.code, w.Code, w.Body)
			require.Contains(t, w.Body.String(), c.says)
			require.NotEmpty(t, w.Header().Get("X-Request-Id"))
			if c.code == 204 && c.name != "empty" {
				require.Equal(t, want, store.Text())
				store.Clear()
				require.NoError(t, p.Replay(context.Background()))
				require.Equal(t, want, store.Text(), "a replay gives the same")
			}
		})
	}
}

func TestOnlyPost(t *testing.T) {
	p, _ := ingesttest.New(t)
	w := httptest.NewRecorder()
	Handler(p).ServeHTTP(w, httptest.NewRequest("GET", "/loki/api/v1/push", nil))
	require.Equal(t, 405, w.Code)
}

func TestParseLabels(t *testing.T) {
	for in, want := range map[string]string{
		`{}`: "", ` { } `: "", `{a="b"}`: "a=b", `{ a = "b" , c_1="d\"e\\f\n", }`: "a=b c_1=d\"e\\f\n", `{a="1",a="2"}`: "a=2", `{a=""}`: "a=",
	} {
		got, err := ParseLabels(in)
		require.NoError(t, err, in)
		var parts []string
		for _, a := range got {
			parts = append(parts, a.Key+"="+a.Value.Str())
		}
		require.Equal(t, want, strings.Join(parts, " "))
	}
	for _, in := range []string{``, `{`, `a="b"`, `{a}`, `{a=b}`, `{a="b}`, `{1="b"}`, `{a="b" c="d"}`, `{a!="b"}`, `{="x"}`} {
		_, err := ParseLabels(in)
		require.Error(t, err, in)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(protoPush())
	f.Add([]byte(jsonPush))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, decode := range []func([]byte, *otlp.Buffers) (*model.Logs, error){decodeProtobuf, decodeJSON} {
			if logs, err := decode(body, &otlp.Buffers{}); err == nil {
				logs.Count()
			}
		}
	})
}
