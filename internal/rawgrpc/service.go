package rawgrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// UnaryHandler answers one request with one message.
type UnaryHandler func(ctx context.Context, request []byte) ([]byte, error)

// StreamHandler answers one request with any number of messages.
type StreamHandler func(ctx context.Context, request []byte, send func([]byte) error) error

// Service describes a gRPC service by its full name and methods.
type Service struct {
	Name    string
	Unary   map[string]UnaryHandler
	Streams map[string]StreamHandler
}

// Register adds the service to a server.
func (s Service) Register(srv grpc.ServiceRegistrar) {
	desc := &grpc.ServiceDesc{ServiceName: s.Name, HandlerType: (*any)(nil)}
	for name, h := range s.Unary {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: unary("/"+s.Name+"/"+name, h)})
	}
	for name, h := range s.Streams {
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, ServerStreams: true, Handler: stream(h)})
	}
	srv.RegisterService(desc, struct{}{})
}

func unary(full string, h UnaryHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := &emptypb.Empty{}
		if err := decode(in); err != nil {
			return nil, err
		}
		call := func(ctx context.Context, req any) (any, error) {
			out, err := h(ctx, Bytes(req.(*emptypb.Empty)))
			if err != nil {
				return nil, err
			}
			return Message(out), nil
		}
		if intercept == nil {
			return call(ctx, in)
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, call)
	}
}

func stream(h StreamHandler) grpc.StreamHandler {
	return func(_ any, ss grpc.ServerStream) error {
		in := &emptypb.Empty{}
		if err := ss.RecvMsg(in); err != nil {
			return err
		}
		return h(ss.Context(), Bytes(in), func(b []byte) error { return ss.SendMsg(Message(b)) })
	}
}

// Message wraps the bytes of any protobuf message for grpc.
func Message(b []byte) *emptypb.Empty {
	m := &emptypb.Empty{}
	m.ProtoReflect().SetUnknown(b)
	return m
}

// Bytes returns what a message was made of.
func Bytes(m *emptypb.Empty) []byte { return m.ProtoReflect().GetUnknown() }
