package jaegerapi

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

func (a *API) services(r *http.Request, t tenant.ID) (any, error) {
	names, err := a.serviceNames(r.Context(), t)
	return list{names, len(names)}, err
}

func (a *API) operationNames(r *http.Request, t tenant.ID) (any, error) {
	ops, err := a.operationsOf(r.Context(), t, r.PathValue("service"), "")
	names := make([]string, 0, len(ops))
	for _, o := range ops {
		names = append(names, o.Name)
	}
	names = slices.Compact(names)
	return list{names, len(names)}, err
}

func (a *API) operations(r *http.Request, t tenant.ID) (any, error) {
	v := r.URL.Query()
	if v.Get("service") == "" {
		return nil, invalid("parameter 'service' is required")
	}
	ops, err := a.operationsOf(r.Context(), t, v.Get("service"), v.Get("spanKind"))
	return list{ops, len(ops)}, err
}

// search answers GET /api/traces: by ids, or by what a span looks like.
func (a *API) search(r *http.Request, t tenant.ID) (any, error) {
	v := r.URL.Query()
	raw := v.Get("raw") == "true"
	if ids := v["traceID"]; len(ids) > 0 {
		return a.byIDs(r, t, ids, raw)
	}
	q, err := a.legacyQuestion(v)
	if err != nil {
		return nil, err
	}
	found, err := a.find(r.Context(), t, q)
	if err != nil {
		return nil, err
	}
	out := make([]legacyTrace, 0, len(found))
	for _, m := range found {
		out = append(out, newLegacyTrace(m.Spans, raw))
	}
	return list{out, len(out)}, nil
}

func (a *API) byIDs(r *http.Request, t tenant.ID, ids []string, raw bool) (any, error) {
	if len(ids) > maxLimit {
		return nil, invalid("%d trace ids are asked for, at most %d are allowed", len(ids), maxLimit)
	}
	out := []legacyTrace{}
	for _, id := range ids {
		tr, err := a.opts.Engine.TraceByText(r.Context(), t, id)
		if errors.Is(err, model.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, newLegacyTrace(tr.Spans, raw))
	}
	return list{out, len(out)}, nil
}

// trace answers GET /api/traces/{id}. Grafana reads data[0] unasked: what is not
// there must be a 404. start and end, which say where Jaeger should look, are
// checked and not needed.
func (a *API) trace(r *http.Request, t tenant.ID) (any, error) {
	v := r.URL.Query()
	if _, err := microRange(v, model.TimeRange{}); err != nil {
		return nil, err
	}
	tr, err := a.opts.Engine.TraceByText(r.Context(), t, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return []legacyTrace{newLegacyTrace(tr.Spans, v.Get("raw") == "true")}, nil
}

// archive says that there is nothing to do it in: retention alone decides.
func (a *API) archive(r *http.Request, t tenant.ID) (any, error) {
	if _, err := a.opts.Engine.TraceByText(r.Context(), t, r.PathValue("id")); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("cannot archive trace %q: traces are kept by retention, there is no archive: %w", r.PathValue("id"), errors.ErrUnsupported)
}

// maxUpload bounds the body of /api/transform.
const maxUpload = 64 << 20

// transform turns OTLP JSON, that a user drops into the UI, into Jaeger's model.
func (a *API) transform(r *http.Request, _ tenant.ID) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxUpload))
	if err != nil {
		return nil, invalid("cannot read the body: %v", err)
	}
	b := otlp.Get() // never given back: the answer, written later, points into it
	spans, _, err := otlp.DecodeSpans(body, otlp.JSON, b)
	if err != nil {
		return nil, invalid("cannot read OTLP JSON: %v", err)
	}
	byTrace := map[model.TraceID][]model.SpanRow{}
	var order []model.TraceID
	for i := range spans.Batches {
		batch := &spans.Batches[i]
		for j := range batch.Spans {
			id := batch.Spans[j].TraceID
			if byTrace[id] == nil {
				order = append(order, id)
			}
			byTrace[id] = append(byTrace[id], model.SpanRow{Resource: batch.Resource, Scope: batch.Scope, Span: batch.Spans[j]})
		}
	}
	out := []legacyTrace{}
	for _, id := range order {
		out = append(out, newLegacyTrace(byTrace[id], false))
	}
	return list{out, len(out)}, nil
}

type dependency struct {
	Parent    string `json:"parent"`
	Child     string `json:"child"`
	CallCount uint64 `json:"callCount"`
}

// dependencies answers endTs and lookback, in milliseconds, and service, which
// one side of a call must be.
func (a *API) dependencies(r *http.Request, t tenant.ID) (any, error) {
	rng, err := a.milliRange(r, 24*3600*1000)
	if err != nil {
		return nil, err
	}
	edges, err := a.edges(r.Context(), t, rng)
	if err != nil {
		return nil, err
	}
	service := r.URL.Query().Get("service")
	out := make([]dependency, 0, len(edges))
	for _, e := range edges {
		if service != "" && service != e.Parent && service != e.Child {
			continue
		}
		out = append(out, dependency{e.Parent, e.Child, e.Calls})
	}
	return list{out, len(out)}, nil
}

// milliRange reads endTs (now by default) and lookback.
func (a *API) milliRange(r *http.Request, lookback int64) (model.TimeRange, error) {
	end := a.opts.Now().UnixMilli()
	for _, p := range []struct {
		name string
		to   *int64
	}{{"endTs", &end}, {"lookback", &lookback}} {
		s := r.URL.Query().Get(p.name)
		if s == "" {
			continue
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/1_000_000 {
			return model.TimeRange{}, invalid("unable to parse param '%s': expected milliseconds, got %q", p.name, s)
		}
		*p.to = n
	}
	return model.TimeRange{Start: max(1, (end-lookback)*1_000_000), End: end*1_000_000 + 1}, nil
}
