package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"braid/pkg/api/apierr"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/federate"
	"braid/pkg/query/logql"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

// federator answers queries that join signals, for the native API and for the
// plain endpoints that stream.
type federator struct {
	engine *federate.Engine
	now    func() time.Time
}

func (a *App) newFederator() *federator {
	return &federator{now: time.Now, engine: federate.New(federate.Options{Metrics: a.sources.metrics, Logs: a.sources.logs, Traces: a.sources.traces,
		KeySpec: a.keySpec, SpanFilter: traceql.SpanFilter, LogFilter: logql.LogFilter, Selectors: promSelectors})}
}

// promSelectors reads the selectors of a PromQL expression.
func promSelectors(expr string) ([][]query.LabelMatcher, error) {
	list, err := correlation.Selectors(expr)
	if err != nil {
		return nil, err
	}
	var out [][]query.LabelMatcher
	for _, ms := range list {
		var set []query.LabelMatcher
		for _, m := range ms {
			set = append(set, query.LabelMatcher{Name: m.Name, Op: m.Type.String(), Value: m.Value})
		}
		out = append(out, set)
	}
	return out, nil
}

const (
	// federatedRows is how many rows the native API returns unless told.
	federatedRows = 10_000
	// federatedWindow is how far back a query looks unless told.
	federatedWindow = time.Hour
)

// window fills what a request leaves out: until now, from an hour before.
func (f *federator) window(start, end int64) (model.TimeRange, error) {
	if end == 0 {
		end = f.now().UnixNano()
	}
	if start == 0 {
		start = end - int64(federatedWindow)
	}
	if start < 0 || end <= start {
		return model.TimeRange{}, fmt.Errorf("%w: start %d and end %d: end must be after start (Unix nanoseconds)", model.ErrInvalid, start, end)
	}
	return model.TimeRange{Start: start, End: end}, nil
}

// Federate implements native.Federator.
func (f *federator) Federate(ctx context.Context, t tenant.ID, req *braidv1.QueryRequest) (*braidv1.QueryResponse, error) {
	started := f.now()
	p, err := f.engine.Plan(req.GetText())
	if err != nil {
		return nil, err
	}
	out := &braidv1.QueryResponse{Plan: p.String(), Complete: true, Columns: protoColumns(p.Columns)}
	if req.GetExplain() {
		return out, nil
	}
	r, err := f.window(int64(req.GetStartNs()), int64(req.GetEndNs()))
	if err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit <= 0 {
		limit = federatedRows
	}
	stats := &model.QueryStats{}
	res, err := f.engine.Run(ctx, t, p, federate.Params{Range: r, Limit: limit, Stats: stats})
	if err != nil {
		return nil, err
	}
	out.Columns, out.Complete, out.Warnings = protoColumns(res.Columns), res.Complete, res.Warnings
	for _, row := range res.Rows {
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = strings.ToValidUTF8(v.Text(), "\uFFFD")
		}
		out.Rows = append(out.Rows, &braidv1.Row{Values: values})
	}
	out.Cost = &braidv1.Cost{Bytes: stats.Bytes.Load(), Rows: stats.Rows.Load(), Blocks: stats.Blocks.Load(), BlocksSkipped: stats.BlocksSkipped.Load(),
		Seconds: f.now().Sub(started).Seconds()}
	return out, nil
}

func protoColumns(columns []federate.Column) []*braidv1.Column {
	out := make([]*braidv1.Column, len(columns))
	for i, c := range columns {
		out[i] = &braidv1.Column{Name: strings.ToValidUTF8(c.Name, "\uFFFD"), Type: c.Type}
	}
	return out
}

// federatedForms are the streaming answers, by the ending of the path.
var federatedForms = []struct {
	ending, contentType string
	write               func(*federate.Result, context.Context, io.Writer) error
}{
	{"ndjson", "application/x-ndjson", (*federate.Result).WriteNDJSON},
	{"csv", "text/csv; charset=utf-8; header=present", (*federate.Result).WriteCSV},
	{"arrow", "application/vnd.apache.arrow.stream", (*federate.Result).WriteArrow},
}

// mountFederated adds the streaming forms. The query is the parameter "text"
// (URL or form), or a JSON body as the native API takes it, or a body of plain
// text; start_ns, end_ns and limit as there, with no limit unless given.
func (a *App) mountFederated(mux *http.ServeMux) {
	f := a.newFederator()
	for _, form := range federatedForms {
		h := func(w http.ResponseWriter, r *http.Request) {
			res, done, err := a.askFederated(f, r)
			if err != nil {
				writeFederatedError(w, err)
				return
			}
			w.Header().Set("Content-Type", form.contentType)
			w.Header().Set("X-Braid-Complete", strconv.FormatBool(res.Complete))
			for _, warning := range res.Warnings {
				w.Header().Add("Warning", "199 braid "+strconv.QuoteToASCII(warning))
			}
			done(form.write(res, r.Context(), w))
		}
		mux.HandleFunc("GET /api/braid/v1/query."+form.ending, h)
		mux.HandleFunc("POST /api/braid/v1/query."+form.ending, h)
	}
}

// askFederated runs the query of a request. done must be called when the
// answer has been written.
func (a *App) askFederated(f *federator, r *http.Request) (*federate.Result, func(error), error) {
	t, err := tenant.FromHTTP(r)
	if err != nil {
		return nil, nil, err
	}
	req, err := readFederated(r)
	if err != nil {
		return nil, nil, err
	}
	p, err := f.engine.Plan(req.Text)
	if err != nil {
		return nil, nil, err
	}
	rng, err := f.window(req.Start, req.End)
	if err != nil {
		return nil, nil, err
	}
	ctx, done, err := a.guard.Begin(r.Context(), t, "federated", req.Text)
	if err != nil {
		return nil, nil, err
	}
	stats := &model.QueryStats{}
	res, err := f.engine.Run(ctx, t, p, federate.Params{Range: rng, Limit: req.Limit, Stats: stats})
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		done(stats, err)
		return nil, nil, err
	}
	return res, func(err error) { done(stats, err) }, nil
}

// federatedRequest is QueryRequest as JSON: 64-bit numbers are strings.
type federatedRequest struct {
	Text  string `json:"text"`
	Start int64  `json:"startNs,string"`
	End   int64  `json:"endNs,string"`
	Limit int    `json:"limit"`
}

// maxFederatedBody bounds a request; the language itself reads 64 KiB.
const maxFederatedBody = 256 << 10

func readFederated(r *http.Request) (*federatedRequest, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxFederatedBody+1))
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", model.ErrInvalid, err)
	}
	if len(body) > maxFederatedBody {
		return nil, fmt.Errorf("%w: the body has more than %d bytes", model.ErrInvalid, maxFederatedBody)
	}
	out := &federatedRequest{}
	q := r.URL.Query()
	switch kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); {
	case len(body) == 0:
	case kind == "application/json":
		if err := json.Unmarshal(body, out); err != nil {
			return nil, fmt.Errorf("%w: body: %w", model.ErrInvalid, err)
		}
	default:
		out.Text = string(body)
	}
	if q.Has("text") {
		out.Text = q.Get("text")
	}
	limit := int64(out.Limit)
	for name, to := range map[string]*int64{"start_ns": &out.Start, "end_ns": &out.End, "limit": &limit} {
		if v := q.Get(name); v != "" {
			if *to, err = strconv.ParseInt(v, 10, 64); err != nil || *to < 0 {
				return nil, fmt.Errorf("%w: %s %q is not a whole number", model.ErrInvalid, name, v)
			}
		}
	}
	out.Limit = int(limit)
	return out, nil
}

func writeFederatedError(w http.ResponseWriter, err error) {
	apierr.SetRetryAfter(w.Header(), err)
	writeJSON(w, apierr.Status(err), map[string]string{"status": "error", "error": err.Error()})
}
