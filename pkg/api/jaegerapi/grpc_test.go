package jaegerapi

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"braid/internal/rawgrpc"
	"braid/internal/testkit"
	"braid/pkg/tenant"
)

// request builds a message from lines "number value"; values are numbers, 0x…
// bytes, @seconds for times, key=value after a tilde for map entries, and text.
// Lines that begin with "number/" belong to one message in that field.
func request(lines []string) []byte {
	var e rawgrpc.Encoder
	for i := 0; i < len(lines); i++ {
		path, value, _ := strings.Cut(lines[i], " ")
		if outer, _, nested := strings.Cut(path, "/"); nested {
			var inner []string
			for ; i < len(lines) && strings.HasPrefix(lines[i], outer+"/"); i++ {
				inner = append(inner, strings.TrimPrefix(lines[i], outer+"/"))
			}
			i--
			e.Bytes(number(outer), request(inner))
			continue
		}
		n := number(path)
		v, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err == nil:
			e.Int(n, v)
		case strings.HasPrefix(value, "0x"):
			b, _ := hex.DecodeString(value[2:])
			e.Bytes(n, b)
		case strings.HasPrefix(value, "@"):
			s, _ := strconv.ParseInt(value[1:], 10, 64)
			e.Message(n, func(e *rawgrpc.Encoder) { e.Int(1, s) })
		case strings.HasPrefix(value, "~"):
			k, v, _ := strings.Cut(value[1:], "=")
			e.Message(n, func(e *rawgrpc.Encoder) { e.String(1, k); e.String(2, v) })
		default:
			e.String(n, value)
		}
	}
	return e.B
}

func number(s string) rawgrpc.Number {
	n, _ := strconv.Atoi(s)
	return rawgrpc.Number(n)
}

func TestGRPC(t *testing.T) {
	a := newShop()
	conn := testkit.DialGRPC(t, a.Register)
	testkit.RunScript(t, "testdata/grpc.txt", func(q string) string {
		lines := strings.Split(q, "\n")
		return testkit.AskGRPC(context.Background(), conn, "/"+lines[0], request(lines[1:]))
	})
	ctx := metadata.AppendToOutgoingContext(context.Background(), tenant.Header, "other")
	require.Equal(t, "message\n", testkit.AskGRPC(ctx, conn, "/jaeger.api_v3.QueryService/GetServices", nil))
}

// TestLongTracesComeInChunks: gRPC clients refuse large messages.
func TestLongTracesComeInChunks(t *testing.T) {
	rows := testkit.Shop()
	for len(rows) < 2*chunkSpans+1 {
		rows = append(rows, rows[0])
	}
	var sizes []int
	c := call{send: func(b []byte) error { sizes = append(sizes, len(b)); return nil }}
	require.NoError(t, sendV2(c, rows, false))
	require.Len(t, sizes, 3)
}
