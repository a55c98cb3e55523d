package tempoapi

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	"braid/internal/rawgrpc"
	"braid/internal/testkit"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// request builds a request from the lines after the method: "number value".
func request(lines []string) []byte {
	var e rawgrpc.Encoder
	for _, l := range lines {
		f := strings.SplitN(l, " ", 2)
		field, _ := strconv.Atoi(f[0])
		n := protowire.Number(field)
		if v, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			e.Int(n, v)
		} else {
			e.String(n, f[1])
		}
	}
	return e.B
}

func TestStreaming(t *testing.T) {
	conn := testkit.DialGRPC(t, newShop().Register)
	testkit.RunScript(t, "testdata/grpc.txt", func(q string) string {
		lines := strings.Split(q, "\n")
		return testkit.AskGRPC(context.Background(), conn, "/tempopb.StreamingQuerier/"+lines[0], request(lines[1:]))
	})
	ctx := metadata.AppendToOutgoingContext(context.Background(), tenant.Header, "a/b")
	require.Contains(t, testkit.AskGRPC(ctx, conn, "/tempopb.StreamingQuerier/Search", nil), "InvalidArgument: invalid tenant")
	require.Contains(t, testkit.AskGRPC(context.Background(), conn, "/tempopb.StreamingQuerier/Nope", nil), "Unimplemented")
}

// TestStreamingTellsWhatItHasSoFar: a search that takes long sends partials of
// what is new, then everything.
func TestStreamingTellsWhatItHasSoFar(t *testing.T) {
	src := testkit.NewMemTraces()
	src.Add(tenant.Default, testkit.Shop()...)
	now := time.Unix(0, 0)
	a := New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src}), Now: func() time.Time {
		now = now.Add(partialEvery / 2)
		return now
	}})
	conn := testkit.DialGRPC(t, func(s grpc.ServiceRegistrar) { a.Register(s) })
	got := testkit.AskGRPC(context.Background(), conn, "/tempopb.StreamingQuerier/Search", request([]string{"8 {}"}))
	parts := strings.Split(got, "message\n")[1:]
	var sizes []int
	for _, p := range parts {
		sizes = append(sizes, strings.Count(p, "  1: \"000000000000000000000000000000"))
	}
	require.Equal(t, []int{2, 3}, sizes)
}
