package tempoapi

import (
	"net/http"
	"sort"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"braid/internal/rawgrpc"
	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// trace finds the trace. start and end, which say where Tempo should look, are
// checked and not needed.
func (a *API) trace(r *http.Request, t tenant.ID) (*traceql.Trace, error) {
	if _, err := parseRange(r.URL.Query()); err != nil {
		return nil, err
	}
	return a.opts.Engine.TraceByText(r.Context(), t, r.PathValue("id"))
}

// traceV1 answers with the trace itself: tempopb.Trace, whose bytes are those
// of OTLP's TracesData, or {"batches": […]}.
func (a *API) traceV1(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	if wantsProto(r) {
		_, err := a.streamTrace(w, r, t, func(b []byte) []byte { return b })
		return err
	}
	tr, err := a.trace(r, t)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"batches": resourceSpans(tr.Spans)})
}

// Fields of tempopb.TraceByIDResponse and PartialStatus.
const (
	fieldTrace   = 1
	fieldMetrics = 2
	fieldStatus  = 3
	fieldMessage = 4

	statusComplete = 0
	statusPartial  = 1
)

// traceV2 wraps the trace, or what q chooses of it, and says whether it is whole.
func (a *API) traceV2(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	part, err := parseSubset(r.URL.Query())
	if err != nil {
		return err
	}
	if wantsProto(r) && part.Filter == "" {
		return a.streamTraceV2(w, r, t)
	}
	tr, err := a.trace(r, t)
	if err != nil {
		return err
	}
	status, message := wholeness(tr.Stats)
	if part.Filter != "" {
		var left bool
		if tr.Spans, left, err = part.Of(tr.Spans); err != nil {
			return err
		}
		if left && status == statusComplete {
			status, message = statusPartial, "only the spans that q asks for"
		}
	}
	if wantsProto(r) {
		var e rawgrpc.Encoder
		e.Bytes(fieldTrace, otlp.EncodeTraces(tr.Spans))
		encodeWholeness(&e, status, message)
		w.Header().Set("Content-Type", "application/protobuf")
		_, _ = w.Write(e.B) // an error means that the client has gone: nobody to tell
		return nil
	}
	out := map[string]any{"trace": map[string]any{"resourceSpans": resourceSpans(tr.Spans)},
		"metrics": map[string]any{}, "status": "COMPLETE"}
	if status == statusPartial {
		out["status"], out["message"] = "PARTIAL", message
	}
	return writeJSON(w, out)
}

// streamTrace writes a trace batch by batch, so that no trace is too large:
// protobuf messages that follow each other are one message. frame dresses the
// bytes of each. An error after the first batch breaks the connection, so that
// the client does not take a part for the whole.
func (a *API) streamTrace(w http.ResponseWriter, r *http.Request, t tenant.ID, frame func([]byte) []byte) (*model.QueryStats, error) {
	if _, err := parseRange(r.URL.Query()); err != nil {
		return nil, err
	}
	begun := false
	stats, err := a.opts.Engine.TraceBatches(r.Context(), t, r.PathValue("id"), func(rows []model.SpanRow) error {
		if !begun {
			w.Header().Set("Content-Type", "application/protobuf")
			begun = true
		}
		_, err := w.Write(frame(otlp.EncodeTraces(rows)))
		return err
	})
	if err != nil && begun {
		a.opts.Logger.WarnContext(r.Context(), "cannot send the whole trace", "id", r.PathValue("id"), "err", err)
		panic(http.ErrAbortHandler)
	}
	return stats, err
}

// streamTraceV2 repeats the field trace for each batch, which readers merge.
func (a *API) streamTraceV2(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	stats, err := a.streamTrace(w, r, t, func(trace []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, fieldTrace, protowire.BytesType), trace)
	})
	if err != nil {
		return err
	}
	var e rawgrpc.Encoder
	status, message := wholeness(stats)
	encodeWholeness(&e, status, message)
	_, _ = w.Write(e.B) // an error means that the client has gone: nobody to tell
	return nil
}

// encodeWholeness ends a TraceByIDResponse.
func encodeWholeness(e *rawgrpc.Encoder, status uint64, message string) {
	e.Bytes(fieldMetrics, nil)
	e.Int(fieldStatus, int64(status))
	e.String(fieldMessage, message)
}

// wholeness turns the warnings of a query into Tempo's partial status.
func wholeness(s *model.QueryStats) (status uint64, message string) {
	for _, w := range s.Warnings() {
		if message != "" {
			message += "; "
		}
		message += w
		status = statusPartial
	}
	return status, message
}

type jsonResourceSpans struct {
	Resource   jsonResource     `json:"resource"`
	ScopeSpans []jsonScopeSpans `json:"scopeSpans"`
}

type jsonResource struct {
	Attributes   []keyValue `json:"attributes,omitempty"`
	DroppedAttrs uint32     `json:"droppedAttributesCount,omitempty"`
}

type jsonScopeSpans struct {
	Scope jsonScope  `json:"scope"`
	Spans []jsonSpan `json:"spans"`
}

type jsonScope struct {
	Name       string     `json:"name,omitempty"`
	Version    string     `json:"version,omitempty"`
	Attributes []keyValue `json:"attributes,omitempty"`
}

type jsonSpan struct {
	TraceID      []byte      `json:"traceId"` // base64, as protobuf's JSON has bytes
	SpanID       []byte      `json:"spanId"`
	TraceState   string      `json:"traceState,omitempty"`
	ParentSpanID []byte      `json:"parentSpanId,omitempty"`
	Flags        uint32      `json:"flags,omitempty"`
	Name         string      `json:"name"`
	Kind         string      `json:"kind"`
	Start        string      `json:"startTimeUnixNano"`
	End          string      `json:"endTimeUnixNano"`
	Attributes   []keyValue  `json:"attributes,omitempty"`
	Events       []jsonEvent `json:"events,omitempty"`
	Links        []jsonLink  `json:"links,omitempty"`
	Status       jsonStatus  `json:"status"`
}

type jsonEvent struct {
	Time       string     `json:"timeUnixNano"`
	Name       string     `json:"name"`
	Attributes []keyValue `json:"attributes,omitempty"`
}

type jsonLink struct {
	TraceID    []byte     `json:"traceId"`
	SpanID     []byte     `json:"spanId"`
	TraceState string     `json:"traceState,omitempty"`
	Attributes []keyValue `json:"attributes,omitempty"`
}

type jsonStatus struct {
	Message string `json:"message,omitempty"`
	Code    string `json:"code,omitempty"`
}

var kindNames = [...]string{"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"}

var statusNames = [...]string{"", "STATUS_CODE_OK", "STATUS_CODE_ERROR"}

// resourceSpans groups spans by resource and scope, in the order they are met.
func resourceSpans(rows []model.SpanRow) []jsonResourceSpans {
	type place struct{ resource, scope int }
	out := []jsonResourceSpans{}
	resources := map[*model.Resource]int{}
	scopes := map[*model.Resource]map[*model.Scope]place{}
	for i := range rows {
		r := &rows[i]
		at, ok := scopes[r.Resource][r.Scope]
		if !ok {
			ri, known := resources[r.Resource]
			if !known {
				ri = len(out)
				resources[r.Resource] = ri
				scopes[r.Resource] = map[*model.Scope]place{}
				out = append(out, jsonResourceSpans{Resource: newResource(r.Resource)})
			}
			at = place{ri, len(out[ri].ScopeSpans)}
			scopes[r.Resource][r.Scope] = at
			out[ri].ScopeSpans = append(out[ri].ScopeSpans, jsonScopeSpans{Scope: newScope(r.Scope)})
		}
		ss := &out[at.resource].ScopeSpans[at.scope]
		ss.Spans = append(ss.Spans, newSpan(&r.Span))
	}
	return out
}

func newResource(r *model.Resource) jsonResource {
	if r == nil {
		return jsonResource{}
	}
	return jsonResource{Attributes: keyValues(r.Attrs), DroppedAttrs: r.DroppedAttrs}
}

func newScope(s *model.Scope) jsonScope {
	if s == nil {
		return jsonScope{}
	}
	return jsonScope{Name: s.Name, Version: s.Version, Attributes: keyValues(s.Attrs)}
}

func newSpan(s *model.Span) jsonSpan {
	out := jsonSpan{TraceID: s.TraceID[:], SpanID: s.SpanID[:], TraceState: s.TraceState, Flags: s.Flags, Name: s.Name,
		Start: strconv.FormatInt(s.Start, 10), End: strconv.FormatInt(s.End, 10), Attributes: keyValues(s.Attrs),
		Kind: kindNames[0], Status: jsonStatus{Message: s.StatusMessage}}
	if int(s.Kind) < len(kindNames) {
		out.Kind = kindNames[s.Kind]
	}
	if int(s.Status) < len(statusNames) {
		out.Status.Code = statusNames[s.Status]
	}
	if !s.ParentID.IsZero() {
		out.ParentSpanID = s.ParentID[:]
	}
	for i := range s.Events {
		e := &s.Events[i]
		out.Events = append(out.Events, jsonEvent{strconv.FormatInt(e.Time, 10), e.Name, keyValues(e.Attrs)})
	}
	for i := range s.Links {
		l := &s.Links[i]
		out.Links = append(out.Links, jsonLink{l.TraceID[:], l.SpanID[:], l.TraceState, keyValues(l.Attrs)})
	}
	return out
}
