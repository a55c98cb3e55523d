package tempoapi

import (
	"net/http"
	"strconv"

	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// rootMissing is what Tempo shows while a root span has not been received.
const rootMissing = "<root span not yet received>"

type jsonSearch struct {
	Traces  []jsonTrace `json:"traces"`
	Metrics jsonMetrics `json:"metrics"`
}

// jsonMetrics is tempopb.SearchMetrics; 64-bit numbers are strings.
type jsonMetrics struct {
	InspectedTraces int    `json:"inspectedTraces,omitempty"`
	InspectedBytes  string `json:"inspectedBytes,omitempty"`
	InspectedSpans  string `json:"inspectedSpans,omitempty"`
	TotalBlocks     int64  `json:"totalBlocks,omitempty"`
	CompletedJobs   int    `json:"completedJobs"`
	TotalJobs       int    `json:"totalJobs"`
}

func newMetrics(s *model.QueryStats, traces int) jsonMetrics {
	return jsonMetrics{InspectedTraces: traces, InspectedBytes: strconv.FormatInt(s.Bytes.Load(), 10),
		InspectedSpans: strconv.FormatInt(s.Rows.Load(), 10), TotalBlocks: s.Blocks.Load() + s.BlocksSkipped.Load(),
		CompletedJobs: 1, TotalJobs: 1}
}

// jsonMetadataMetrics is tempopb.MetadataMetrics, which clients read strictly.
type jsonMetadataMetrics struct {
	InspectedBytes string `json:"inspectedBytes,omitempty"`
	TotalJobs      int    `json:"totalJobs"`
	CompletedJobs  int    `json:"completedJobs"`
	TotalBlocks    int64  `json:"totalBlocks,omitempty"`
}

func newMetadataMetrics(s *model.QueryStats) jsonMetadataMetrics {
	return jsonMetadataMetrics{InspectedBytes: strconv.FormatInt(s.Bytes.Load(), 10), TotalJobs: 1, CompletedJobs: 1,
		TotalBlocks: s.Blocks.Load() + s.BlocksSkipped.Load()}
}

// headerWarning says that an answer is not whole where Tempo's message has no
// place for it.
const headerWarning = "X-Braid-Warning"

type jsonTrace struct {
	TraceID         string                 `json:"traceID"`
	RootServiceName string                 `json:"rootServiceName"`
	RootTraceName   string                 `json:"rootTraceName"`
	Start           string                 `json:"startTimeUnixNano"`
	DurationMs      int64                  `json:"durationMs"`
	SpanSet         *jsonSpanSet           `json:"spanSet,omitempty"` // the first, for older clients
	SpanSets        []jsonSpanSet          `json:"spanSets"`
	ServiceStats    map[string]jsonService `json:"serviceStats,omitempty"`
}

type jsonService struct {
	SpanCount  int `json:"spanCount"`
	ErrorCount int `json:"errorCount,omitempty"`
}

type jsonSpanSet struct {
	Spans      []jsonFoundSpan `json:"spans"`
	Matched    int             `json:"matched"`
	Attributes []keyValue      `json:"attributes,omitempty"`
}

type jsonFoundSpan struct {
	SpanID     string     `json:"spanID"`
	Name       string     `json:"name,omitempty"`
	Start      string     `json:"startTimeUnixNano"`
	Duration   string     `json:"durationNanos"`
	Attributes []keyValue `json:"attributes,omitempty"`
}

func (a *API) search(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	p, err := parseSearch(r.URL.Query())
	if err != nil {
		return err
	}
	res, err := a.opts.Engine.Search(r.Context(), t, p)
	if err != nil {
		return err
	}
	for _, warning := range res.Stats.Warnings() {
		w.Header().Add(headerWarning, warning)
	}
	out := jsonSearch{Traces: []jsonTrace{}, Metrics: newMetrics(res.Stats, res.Inspected)}
	for _, tr := range res.Traces {
		out.Traces = append(out.Traces, newTrace(tr))
	}
	return writeJSON(w, out)
}

// rootOf returns the root as clients show it.
func rootOf(tr *traceql.TraceResult) (service, name string) {
	if tr.RootName == "" && tr.RootService == "" {
		return rootMissing, ""
	}
	return tr.RootService, tr.RootName
}

func newTrace(tr *traceql.TraceResult) jsonTrace {
	out := jsonTrace{TraceID: tr.ID.String(), Start: strconv.FormatInt(tr.Start, 10), DurationMs: tr.Duration / 1e6}
	out.RootServiceName, out.RootTraceName = rootOf(tr)
	for _, set := range tr.SpanSets {
		ss := jsonSpanSet{Spans: []jsonFoundSpan{}, Matched: set.Matched, Attributes: keyValues(set.Attrs)}
		for _, s := range set.Spans {
			ss.Spans = append(ss.Spans, jsonFoundSpan{SpanID: s.ID.String(), Name: s.Name,
				Start: strconv.FormatInt(s.Start, 10), Duration: strconv.FormatInt(s.Duration, 10), Attributes: keyValues(s.Attrs)})
		}
		out.SpanSets = append(out.SpanSets, ss)
	}
	if len(out.SpanSets) > 0 {
		out.SpanSet = &out.SpanSets[0]
	}
	if len(tr.Services) > 0 {
		out.ServiceStats = map[string]jsonService{}
		for name, s := range tr.Services {
			out.ServiceStats[name] = jsonService{SpanCount: s.Spans, ErrorCount: s.Errors}
		}
	}
	return out
}
