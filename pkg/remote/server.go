package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
	storev1 "braid/proto/braid/store/v1"
)

// Sources are what a server serves; a nil one must not be asked.
type Sources struct {
	Metrics query.MetricSource
	Logs    query.LogSource
	Traces  query.TraceSource
}

// Register serves the sources on a gRPC server.
func Register(s grpc.ServiceRegistrar, src Sources) {
	storev1.RegisterStoreServer(s, &server{src: src})
}

type server struct {
	storev1.UnimplementedStoreServer
	src Sources
}

// MaxMessage bounds a part: a batch of rows with large bodies. Both sides set it.
const MaxMessage = 64 << 20

type stream = grpc.ServerStreamingServer[storev1.Part]

// tracesPerPart bounds how many traces, and spansPerPart how many spans, wait
// for one another before they are sent.
const (
	tracesPerPart = 64
	spansPerPart  = 4096
)

// answer runs one question: it reads the tenant, lets ask send batches, and
// closes with the cost.
func answer(q *storev1.Question, out stream, ask func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error) error {
	t, err := tenant.Parse(q.GetTenant())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	stats := &model.QueryStats{}
	send := func(batch []byte) error { return out.Send(&storev1.Part{Batch: batch}) }
	if err := ask(out.Context(), t, stats, send); err != nil {
		return toStatus(err)
	}
	return out.Send(&storev1.Part{Cost: &storev1.Cost{Bytes: stats.Bytes.Load(), Rows: stats.Rows.Load(), Blocks: stats.Blocks.Load(),
		BlocksSkipped: stats.BlocksSkipped.Load(), Warnings: stats.Warnings()}})
}

// toStatus keeps the kinds of error apart on the way to the asker.
func toStatus(err error) error {
	var over *model.OverloadError
	switch {
	case errors.As(err, &over):
		st := status.New(codes.Unavailable, over.Reason)
		if with, derr := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(over.RetryAfter)}); derr == nil {
			st = with
		}
		return st.Err()
	case errors.Is(err, model.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, model.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, model.ErrTooMuch):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, model.ErrChanged):
		return status.Error(codes.Aborted, err.Error())
	case errors.Is(err, errors.ErrUnsupported):
		return status.Error(codes.Unimplemented, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.Internal, err.Error())
}

// fromStatus is the way back.
func fromStatus(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch st.Code() {
	case codes.InvalidArgument:
		return fmt.Errorf("%w: %s", model.ErrInvalid, st.Message())
	case codes.NotFound:
		return fmt.Errorf("%w: %s", model.ErrNotFound, st.Message())
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %s", model.ErrTooMuch, st.Message())
	case codes.Aborted:
		return fmt.Errorf("%w: %s", model.ErrChanged, st.Message())
	case codes.Unavailable:
		for _, d := range st.Details() {
			if info, ok := d.(*errdetails.RetryInfo); ok {
				return &model.OverloadError{Reason: st.Message(), RetryAfter: info.GetRetryDelay().AsDuration()}
			}
		}
		return &model.OverloadError{Reason: st.Message(), RetryAfter: time.Second}
	case codes.Canceled:
		return fmt.Errorf("%w: %s", context.Canceled, st.Message())
	case codes.DeadlineExceeded:
		return fmt.Errorf("%w: %s", context.DeadlineExceeded, st.Message())
	case codes.Unimplemented: // an older program
		return fmt.Errorf("%w: %s", errors.ErrUnsupported, st.Message())
	}
	return err
}

func (s *server) SelectLogs(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		lq, err := decodeLogQuery(t, q.GetBody(), stats)
		if err != nil {
			return err
		}
		for rows, err := range s.src.Logs.SelectLogs(ctx, lq) {
			if err != nil {
				return err
			}
			data, err := EncodeLogs(rows)
			if err != nil {
				return err
			}
			if err := send(data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *server) AggregateLogs(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		aq, err := decodeAggregation(t, q.GetBody(), stats)
		if err != nil {
			return err
		}
		a, err := s.src.Logs.AggregateLogs(ctx, aq)
		if err != nil {
			return err
		}
		return sendEncoded(send, encodeAggregate, a)
	})
}

func sendEncoded[T any](send func([]byte) error, encode func(T) ([]byte, error), v T) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	return send(data)
}

func (s *server) LogFields(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		fq, err := decodeFieldQuery(t, q.GetBody(), stats)
		if err != nil {
			return err
		}
		list, err := s.src.Logs.LogFields(ctx, fq)
		if err != nil {
			return err
		}
		return sendEncoded(send, encodeFields, list)
	})
}

func (s *server) Trace(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		var d traceQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		id, err := readTraceID(d.ID)
		if err != nil {
			return err
		}
		for rows, err := range s.src.Traces.Trace(ctx, t, id, stats) {
			if err != nil {
				return err
			}
			if err := sendEncoded(send, EncodeSpans, rows); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *server) SelectSpans(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		sq, err := decodeSpanQuery(t, q.GetBody(), stats)
		if err != nil {
			return err
		}
		var waiting []*model.TraceMatch
		spans := 0
		flush := func() error {
			if len(waiting) == 0 {
				return nil
			}
			err := sendEncoded(send, encodeMatches, waiting)
			waiting, spans = nil, 0
			return err
		}
		for m, err := range s.src.Traces.SelectSpans(ctx, sq) {
			if err != nil {
				return err
			}
			waiting = append(waiting, m)
			spans += len(m.Spans)
			if len(waiting) == tracesPerPart || spans >= spansPerPart {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return flush()
	})
}

func (s *server) AggregateSpans(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		aq, err := decodeAggregation(t, q.GetBody(), stats)
		if err != nil {
			return err
		}
		a, err := s.src.Traces.AggregateSpans(ctx, aq)
		if err != nil {
			return err
		}
		return sendEncoded(send, encodeAggregate, a)
	})
}

func (s *server) SpanFields(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		fq, err := decodeFieldQuery(t, q.GetBody(), stats)
		if err != nil {
			return err
		}
		list, err := s.src.Traces.SpanFields(ctx, fq)
		if err != nil {
			return err
		}
		return sendEncoded(send, encodeFields, list)
	})
}

func (s *server) Metadata(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, _ *model.QueryStats, send func([]byte) error) error {
		var d metadataQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		meta, err := s.src.Metrics.Metadata(ctx, t, d.Metric, d.Limit)
		if err != nil {
			return err
		}
		data, err := json.Marshal(meta)
		if err != nil {
			return err
		}
		return send(data)
	})
}
