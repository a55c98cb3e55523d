package native

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/engine"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

// Federator runs queries that join signals.
type Federator interface {
	Federate(ctx context.Context, t tenant.ID, req *braidv1.QueryRequest) (*braidv1.QueryResponse, error)
}

// Options of a Service. Federator may be nil: its call then answers
// Unimplemented. All else is required.
type Options struct {
	Finder    *correlation.Finder
	Traces    query.TraceSource
	Guard     *engine.Guard
	Federator Federator
	// SpanFilter and LogFilter read a TraceQL span filter and a LogQL selector
	// with its filters; their errors are model.ErrInvalid.
	SpanFilter func(string) (predicate.Expr, error)
	LogFilter  func(string) (predicate.Expr, error)
}

// Service implements braidv1.BraidServer. Safe for concurrent use.
type Service struct {
	braidv1.UnimplementedBraidServer
	o          Options
	structures structureMemo
}

// New makes the service.
func New(o Options) *Service { return &Service{o: o} }

// Register serves gRPC.
func (s *Service) Register(r grpc.ServiceRegistrar) { braidv1.RegisterBraidServer(r, s) }

// tenantKey is the metadata key of the tenant.
var tenantKey = strings.ToLower(tenant.Header)

// Handler serves REST by grpc-gateway. It calls the gRPC server through conn
// (an in-process or loopback connection), so that streams work as well.
func Handler(ctx context.Context, conn grpc.ClientConnInterface) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithIncomingHeaderMatcher(func(key string) (string, bool) {
			if strings.EqualFold(key, tenant.Header) {
				return tenantKey, true
			}
			return runtime.DefaultHeaderMatcher(key)
		}),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions:   protojson.MarshalOptions{EmitUnpopulated: true},
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
		}),
		runtime.WithErrorHandler(func(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			if after := retryAfter(err); after != "" {
				w.Header().Set("Retry-After", after)
			}
			runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, err)
		}),
		// An id may hold slashes and escaped bytes: keep them as they are.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllCharacters),
	)
	if err := braidv1.RegisterBraidHandlerClient(ctx, mux, braidv1.NewBraidClient(conn)); err != nil {
		return nil, fmt.Errorf("cannot register the native API: %w", err)
	}
	return mux, nil
}

// retryAfter returns the whole seconds after which an error says to try again.
func retryAfter(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return strconv.Itoa(max(1, int(math.Ceil(info.GetRetryDelay().AsDuration().Seconds()))))
		}
	}
	return ""
}

func tenantOf(ctx context.Context) (tenant.ID, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	name := ""
	if v := md.Get(tenantKey); len(v) > 0 {
		name = v[0]
	}
	t, err := tenant.Parse(name)
	if err != nil {
		return "", status.Error(codes.InvalidArgument, err.Error())
	}
	return t, nil
}

// toStatus gives each kind of error its code.
func toStatus(err error) error {
	var over *model.OverloadError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		code := codes.Unavailable
		if over.Tenant {
			code = codes.ResourceExhausted
		}
		st := status.New(code, over.Reason)
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

// guarded runs one question under the guard, as the tenant of the request.
func guarded[R any](ctx context.Context, s *Service, language, text string, ask func(context.Context, tenant.ID) (R, *model.QueryStats, error)) (R, error) {
	var none R
	t, err := tenantOf(ctx)
	if err != nil {
		return none, err
	}
	ctx, done, err := s.o.Guard.Begin(ctx, t, language, text)
	if err != nil {
		return none, toStatus(err)
	}
	answer, stats, err := ask(ctx, t)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	done(stats, err)
	if err != nil {
		return none, toStatus(err)
	}
	return answer, nil
}

// Correlate implements braidv1.BraidServer.
func (s *Service) Correlate(ctx context.Context, req *braidv1.CorrelateRequest) (*braidv1.CorrelateResponse, error) {
	return guarded(ctx, s, "correlate", req.GetId(), func(ctx context.Context, t tenant.ID) (*braidv1.CorrelateResponse, *model.QueryStats, error) {
		started := time.Now()
		whole, err := s.o.Finder.Correlate(ctx, t, correlation.Request{ID: req.GetId(), Kind: req.GetKind(), Limit: int(req.GetLimit())})
		if err != nil {
			return nil, nil, err
		}
		return encodeWhole(whole, time.Since(started)), whole.Stats, nil
	})
}

// CorrelateStream implements braidv1.BraidServer: each span, log record and
// exemplar as soon as its source has answered, then the summary, which tells of
// the spans what only the whole tells.
func (s *Service) CorrelateStream(req *braidv1.CorrelateRequest, out grpc.ServerStreamingServer[braidv1.CorrelatePart]) error {
	summary, err := guarded(out.Context(), s, "correlate", req.GetId(), func(ctx context.Context, t tenant.ID) (*braidv1.CorrelateResponse, *model.QueryStats, error) {
		started := time.Now()
		whole, err := s.o.Finder.CorrelateEach(ctx, t, correlation.Request{ID: req.GetId(), Kind: req.GetKind(), Limit: int(req.GetLimit())},
			func(p correlation.Part) error { return out.Send(encodePart(p)) })
		if err != nil {
			return nil, nil, err
		}
		return encodeSummary(whole, time.Since(started)), whole.Stats, nil
	})
	if err != nil {
		return err
	}
	return out.Send(&braidv1.CorrelatePart{Part: &braidv1.CorrelatePart_Summary{Summary: summary}})
}

// Requests implements braidv1.BraidServer.
func (s *Service) Requests(ctx context.Context, req *braidv1.RequestsRequest) (*braidv1.RequestsResponse, error) {
	return guarded(ctx, s, "requests", req.GetId(), func(ctx context.Context, t tenant.ID) (*braidv1.RequestsResponse, *model.QueryStats, error) {
		where := map[string]string{}
		for column, value := range map[string]string{"service": req.GetService(), "route": req.GetRoute(), "status": req.GetStatus(), "error": req.GetError()} {
			if value != "" {
				where[column] = value
			}
		}
		if e := req.GetError(); e != "" && e != "true" && e != "false" {
			return nil, nil, fmt.Errorf("%w: error %q; use true or false", model.ErrInvalid, e)
		}
		list, err := s.o.Finder.Requests(ctx, t, correlation.ListRequest{ID: req.GetId(), Kind: req.GetKind(), Sort: req.GetSort(),
			Limit: int(req.GetLimit()), Offset: int(req.GetOffset()), Where: where})
		if err != nil {
			return nil, nil, err
		}
		resp := &braidv1.RequestsResponse{Total: int32(list.Total), Complete: list.Complete, Warnings: list.Warnings, Requests: encodeRequests(list.Requests)}
		for _, f := range list.Facets {
			facet := &braidv1.Facet{Field: f.Field}
			for _, v := range f.Values {
				facet.Values = append(facet.Values, &braidv1.FacetValue{Value: v.Value, Count: v.Count})
			}
			resp.Facets = append(resp.Facets, facet)
		}
		return resp, nil, nil
	})
}

// timeRange reads a range; zero bounds mean all time.
func timeRange(start, end uint64) (model.TimeRange, error) {
	r := model.TimeRange{Start: int64(start), End: int64(end)}
	if r.Start < 0 || r.End < 0 || !r.All() && r.End <= r.Start {
		return r, fmt.Errorf("%w: start_ns %d, end_ns %d: the end must come after the start", model.ErrInvalid, start, end)
	}
	return r, nil
}

// RequestsBehind implements braidv1.BraidServer.
func (s *Service) RequestsBehind(ctx context.Context, req *braidv1.RequestsBehindRequest) (*braidv1.RequestsBehindResponse, error) {
	return guarded(ctx, s, "requests-behind", req.GetPromql()+req.GetTraceql()+req.GetLogql(), func(ctx context.Context, t tenant.ID) (*braidv1.RequestsBehindResponse, *model.QueryStats, error) {
		r, err := timeRange(req.GetStartNs(), req.GetEndNs())
		if err != nil {
			return nil, nil, err
		}
		ask := correlation.BehindRequest{PromQL: req.GetPromql(), Range: r, Limit: int(req.GetLimit()), At: int64(req.GetAtNs())}
		if ask.At < 0 || ask.At != 0 && !r.All() {
			return nil, nil, fmt.Errorf("%w: at_ns %d: give one point, or start_ns and end_ns", model.ErrInvalid, req.GetAtNs())
		}
		for name, value := range req.GetSeries() {
			ask.Series = append(ask.Series, model.Label{Name: name, Value: value})
		}
		switch {
		case req.GetPromql() != "":
		case req.GetTraceql() != "":
			ask.Filter, err = s.o.SpanFilter(req.GetTraceql())
		case req.GetLogql() != "":
			ask.Logs = true
			ask.Filter, err = s.o.LogFilter(req.GetLogql())
		default:
			err = fmt.Errorf("%w: give one of promql, traceql and logql", model.ErrInvalid)
		}
		if err != nil {
			return nil, nil, err
		}
		got, err := s.o.Finder.RequestsBehind(ctx, t, ask)
		if err != nil {
			return nil, nil, err
		}
		resp := &braidv1.RequestsBehindResponse{Source: got.Source, Warnings: got.Warnings, Complete: len(got.Warnings) == 0,
			Range: &braidv1.TimeRange{Start: ns(got.Range.Start), End: ns(got.Range.End)}}
		for _, b := range got.Requests {
			one := &braidv1.BehindRequest{Request: encodeRequest(&b.Request), Value: b.Value, Reason: b.Reason}
			if len(b.Series) > 0 {
				one.Series = encodeLabels(b.Series)
			}
			resp.Requests = append(resp.Requests, one)
		}
		return resp, nil, nil
	})
}

// Outliers implements braidv1.BraidServer.
func (s *Service) Outliers(ctx context.Context, req *braidv1.OutliersRequest) (*braidv1.OutliersResponse, error) {
	return guarded(ctx, s, "outliers", req.GetSelection(), func(ctx context.Context, t tenant.ID) (*braidv1.OutliersResponse, *model.QueryStats, error) {
		ask, err := s.outlierRequest(req)
		if err != nil {
			return nil, nil, err
		}
		got, err := s.o.Finder.Outliers(ctx, t, *ask)
		if err != nil {
			return nil, nil, err
		}
		resp := &braidv1.OutliersResponse{SelectionRows: got.SelectionRows, BaselineRows: got.BaselineRows, Sampled: got.Sampled,
			Error: got.Error, Warnings: got.Warnings, SelectionTotal: got.SelectionTotal, BaselineTotal: got.BaselineTotal}
		for _, o := range got.Outliers {
			resp.Outliers = append(resp.Outliers, &braidv1.Outlier{Field: o.Field, Value: o.Value, SelectionCount: o.SelectionCount,
				BaselineCount: o.BaselineCount, SelectionShare: o.SelectionShare, BaselineShare: o.BaselineShare, Score: o.Score, Error: o.Error})
		}
		return resp, nil, nil
	})
}

func (s *Service) outlierRequest(req *braidv1.OutliersRequest) (*correlation.OutlierRequest, error) {
	r, err := timeRange(req.GetStartNs(), req.GetEndNs())
	if err != nil {
		return nil, err
	}
	sel, err := timeRange(req.GetSelectionStartNs(), req.GetSelectionEndNs())
	if err != nil {
		return nil, err
	}
	out := &correlation.OutlierRequest{Range: r, SelectionRange: sel, Limit: int(req.GetLimit())}
	read := s.o.SpanFilter
	switch req.GetSignal() {
	case "traces", "":
	case "logs":
		out.Logs, read = true, s.o.LogFilter
	default:
		return nil, fmt.Errorf("%w: signal %q; use traces or logs", model.ErrInvalid, req.GetSignal())
	}
	out.Selection = predicate.True{}
	if req.GetSelection() != "" {
		if out.Selection, err = read(req.GetSelection()); err != nil {
			return nil, fmt.Errorf("selection: %w", err)
		}
	}
	if req.GetBaseline() != "" {
		if out.Baseline, err = read(req.GetBaseline()); err != nil {
			return nil, fmt.Errorf("baseline: %w", err)
		}
	}
	bound := func(op predicate.Op, ns uint64) predicate.Expr {
		if ns == 0 || out.Logs {
			return predicate.True{}
		}
		return predicate.Compare{Field: predicate.Intrinsic(predicate.Duration), Op: op, Value: model.Int(int64(ns))}
	}
	out.Selection = predicate.AllOf(out.Selection, bound(predicate.Gte, req.GetMinDurationNs()), bound(predicate.Lt, req.GetMaxDurationNs()))
	return out, nil
}

// Services implements braidv1.BraidServer.
func (s *Service) Services(ctx context.Context, req *braidv1.ServicesRequest) (*braidv1.ServicesResponse, error) {
	return guarded(ctx, s, "services", "", func(ctx context.Context, t tenant.ID) (*braidv1.ServicesResponse, *model.QueryStats, error) {
		r, err := timeRange(req.GetStartNs(), req.GetEndNs())
		if err != nil {
			return nil, nil, err
		}
		m, err := s.o.Finder.Services(ctx, t, r)
		if err != nil {
			return nil, nil, err
		}
		return encodeServices(m, r), nil, nil
	})
}

// Query implements braidv1.BraidServer.
func (s *Service) Query(ctx context.Context, req *braidv1.QueryRequest) (*braidv1.QueryResponse, error) {
	return guarded(ctx, s, "federated", req.GetText(), func(ctx context.Context, t tenant.ID) (*braidv1.QueryResponse, *model.QueryStats, error) {
		if s.o.Federator == nil {
			return nil, nil, status.Error(codes.Unimplemented, "this process does not answer federated queries")
		}
		resp, err := s.o.Federator.Federate(ctx, t, req)
		return resp, nil, err
	})
}

// Queries implements braidv1.BraidServer.
func (s *Service) Queries(ctx context.Context, _ *braidv1.QueriesRequest) (*braidv1.QueriesResponse, error) {
	t, err := tenantOf(ctx)
	if err != nil {
		return nil, err
	}
	resp := &braidv1.QueriesResponse{}
	for _, e := range s.o.Guard.Log(t) {
		resp.Queries = append(resp.Queries, &braidv1.QueryLogEntry{Id: e.ID, Language: e.Language, Text: e.Text, StartedNs: uint64(e.Started.UnixNano()),
			Seconds: e.Duration.Seconds(), Running: e.Running, Error: e.Error,
			Cost: &braidv1.Cost{Bytes: e.Bytes, Rows: e.Rows, Blocks: e.Blocks, BlocksSkipped: e.Skipped, Seconds: e.Duration.Seconds()}})
	}
	return resp, nil
}
