package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protowire"

	"braid/internal/rawgrpc"
)

// DialGRPC serves what register adds, in memory, and connects to it, until the
// test ends.
func DialGRPC(t testing.TB, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	t.Helper()
	srv := grpc.NewServer()
	register(srv)
	ln := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(ln) // ends with Stop
	}()
	conn, err := grpc.NewClient("passthrough:test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		<-served
	})
	return conn
}

// AskGRPC calls a method with the bytes of a request and draws what comes
// back: every message as its fields, then the error. It reads a stream; a
// unary answer is a stream of one.
func AskGRPC(ctx context.Context, conn *grpc.ClientConn, method string, request []byte) string {
	var out strings.Builder
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return drawStatus(err)
	}
	if err := s.SendMsg(rawgrpc.Message(request)); err != nil {
		return drawStatus(err)
	}
	_ = s.CloseSend() // the error comes with the answer
	for {
		m := rawgrpc.Message(nil)
		err := s.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			return out.String() + drawStatus(err)
		}
		out.WriteString("message\n")
		drawProto(&out, rawgrpc.Bytes(m), " ")
	}
}

func drawStatus(err error) string {
	s := status.Convert(err)
	return fmt.Sprintf("%s: %s\n", s.Code(), s.Message())
}

// drawProto draws a message of unknown type: text as text, what can be a
// message as one, the rest in hex.
func drawProto(out *strings.Builder, b []byte, indent string) {
	_ = rawgrpc.Each(b, func(f rawgrpc.Field) error {
		switch {
		case f.Type != protowire.BytesType:
			fmt.Fprintf(out, "%s%d: %d\n", indent, f.Number, f.Int)
		case printable(f.Bytes):
			fmt.Fprintf(out, "%s%d: %q\n", indent, f.Number, f.Bytes)
		case rawgrpc.Each(f.Bytes, func(rawgrpc.Field) error { return nil }) == nil:
			fmt.Fprintf(out, "%s%d {\n", indent, f.Number)
			drawProto(out, f.Bytes, indent+" ")
			fmt.Fprintf(out, "%s}\n", indent)
		default:
			fmt.Fprintf(out, "%s%d: 0x%x\n", indent, f.Number, f.Bytes)
		}
		return nil
	})
}

func printable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
