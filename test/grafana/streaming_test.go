package grafana_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// rawCodec sends and takes messages as their bytes.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return *b, nil
}

func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}

// TestTempoStreaming: with streaming on, as provisioned, Grafana searches over
// gRPC on the port of HTTP.
func TestTempoStreaming(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := grpc.NewClient(strings.TrimPrefix(braid.http, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/tempopb.StreamingQuerier/Search", grpc.ForceCodec(rawCodec{}))
	require.NoError(t, err)
	from, to := window()
	// SearchRequest: limit 4, start 5, end 6, query 8.
	var req []byte
	for field, v := range map[protowire.Number]uint64{4: 5, 5: uint64(from.Unix()), 6: uint64(to.Unix())} {
		req = protowire.AppendVarint(protowire.AppendTag(req, field, protowire.VarintType), v)
	}
	req = protowire.AppendString(protowire.AppendTag(req, 8, protowire.BytesType), "{status=error}")
	require.NoError(t, stream.SendMsg(&req))
	require.NoError(t, stream.CloseSend())
	var answer []byte
	require.NoError(t, stream.RecvMsg(&answer))
	num, _, n := protowire.ConsumeTag(answer)
	require.Positive(t, n)
	require.Equal(t, protowire.Number(1), num, "SearchResponse.traces")
}
