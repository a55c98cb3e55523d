package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// The languages of a query.
const (
	typePromQL    = "promql"
	typeLogQL     = "logql"
	typeTraceQL   = "traceql"
	typeFederated = "federated"
	typeRequest   = "request"
	typeServices  = "services"
	typeBehind    = "behind"
	typeOutliers  = "outliers"
	typeAlerts    = "alerts"
	typeDeploys   = "deploys"
)

// Formats of series.
const (
	formatMulti   = "time_series"
	formatWide    = "wide"
	formatTable   = "table"
	formatHeatmap = "heatmap"
)

// queryModel is the JSON of one query, as the editor writes it.
type queryModel struct {
	QueryType string `json:"queryType"`
	Expr      string `json:"expr"`
	// Instant asks for the end of the range only (PromQL, LogQL metrics).
	Instant bool   `json:"instant"`
	Legend  string `json:"legendFormat"`
	// Limit bounds lines and traces; 0 means defaultLimit.
	Limit int `json:"limit"`
	// Explain asks for the plan of a federated query.
	Explain bool `json:"explain"`
	// Format is one of the formats; empty is formatMulti.
	Format string `json:"format"`
	// Exemplar asks for exemplars besides; absent means yes.
	Exemplar *bool `json:"exemplar"`
	// Direction of log lines: forward, or backward when empty.
	Direction string `json:"direction"`
	// Signal and Baseline are those of outliers: traces or logs, and what to
	// compare with.
	Signal   string `json:"signal"`
	Baseline string `json:"baseline"`
}

// needNoText are the types that say something with no text.
var needNoText = map[string]bool{typeServices: true, typeAlerts: true, typeDeploys: true}

const (
	defaultLimit = 500
	maxLimit     = 5000
)

// question is a decoded query with its time.
type question struct {
	queryModel
	from, to time.Time
	step     time.Duration
}

// QueryData answers every query of the request; one that fails does not touch
// the others.
func (d *Datasource) QueryData(ctx context.Context, req *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	out := backend.NewQueryDataResponse()
	for _, q := range req.Queries {
		frames, err := d.query(ctx, q)
		if err != nil {
			out.Responses[q.RefID] = failed(err)
			continue
		}
		for _, f := range frames {
			f.RefID = q.RefID
		}
		out.Responses[q.RefID] = backend.DataResponse{Frames: frames, Status: backend.StatusOK}
	}
	return out, nil
}

// failed keeps the status of Braid's answer: Grafana tells a bad query from a
// broken server by it.
func failed(err error) backend.DataResponse {
	r := backend.ErrorResponseWithErrorSource(err)
	var answer *answerError
	if errors.As(err, &answer) {
		r.Status = backend.Status(answer.status)
	}
	return r
}

func (d *Datasource) query(ctx context.Context, raw backend.DataQuery) (data.Frames, error) {
	q, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return d.answer(ctx, q)
}

func (d *Datasource) answer(ctx context.Context, q question) (data.Frames, error) {
	answer, ok := map[string]func(context.Context, question) (data.Frames, error){
		typePromQL: d.promql, typeLogQL: d.logql, typeTraceQL: d.traceql, typeRequest: d.request, typeFederated: d.federated,
		typeServices: d.services, typeBehind: d.behind, typeOutliers: d.outliers, typeAlerts: d.alerts, typeDeploys: d.deploys,
	}[q.QueryType]
	if !ok {
		return nil, badQuery("no such query type %q: it is one of promql, logql, traceql, federated, request, behind, outliers, services, alerts, deploys", q.QueryType)
	}
	return answer(ctx, q)
}

func decode(raw backend.DataQuery) (question, error) {
	q := question{from: raw.TimeRange.From, to: raw.TimeRange.To, step: raw.Interval}
	if err := unmarshal(raw.JSON, &q.queryModel); err != nil {
		return q, err
	}
	if q.QueryType == "" {
		q.QueryType = raw.QueryType
	}
	if q.QueryType == "" {
		q.QueryType = typePromQL
	}
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Limit = min(q.Limit, maxLimit)
	if raw.MaxDataPoints > 0 {
		q.step = max(q.step, q.to.Sub(q.from)/time.Duration(raw.MaxDataPoints))
	}
	q.step = max(q.step.Round(time.Second), time.Second)
	// No language gives more than 11000 points a series.
	if least := q.to.Sub(q.from) / 10_000; q.step < least {
		q.step = least.Truncate(time.Second) + time.Second
	}
	switch q.Format {
	case "":
		q.Format = formatMulti
	case formatMulti, formatWide, formatTable, formatHeatmap:
	default:
		return q, badQuery("no such format %q: it is one of time_series, wide, table, heatmap", q.Format)
	}
	if q.Direction != "forward" {
		q.Direction = "backward"
	}
	q.Expr = q.interpolate(strings.TrimSpace(q.Expr))
	if q.Expr == "" && !needNoText[q.QueryType] {
		return q, badQuery("the query is empty")
	}
	return q, nil
}

func unmarshal(text json.RawMessage, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return badQuery("cannot read the query: %v", err)
	}
	return nil
}

// isLines tells a LogQL query for lines from one for series.
func isLines(expr string) bool { return strings.HasPrefix(expr, "{") }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

var macro = regexp.MustCompile(`\$__(interval_ms|interval|rate_interval|range_ms|range_s|range|auto)\b|\$\{__(interval_ms|interval|rate_interval|range_ms|range_s|range|auto)\}`)

// interpolate fills the macros that only the backend knows, so that alert rules
// can use them.
func (q question) interpolate(expr string) string {
	seconds := func(d time.Duration) string { return strconv.Itoa(max(1, int(d.Seconds()))) }
	return macro.ReplaceAllStringFunc(expr, func(m string) string {
		switch strings.Trim(m, "${}_") {
		case "interval_ms":
			return strconv.FormatInt(q.step.Milliseconds(), 10)
		case "rate_interval":
			return seconds(max(4*q.step, time.Minute)) + "s"
		case "range_ms":
			return strconv.FormatInt(q.to.Sub(q.from).Milliseconds(), 10)
		case "range_s":
			return seconds(q.to.Sub(q.from))
		case "range":
			return seconds(q.to.Sub(q.from)) + "s"
		}
		return seconds(q.step) + "s"
	})
}

func badQuery(format string, args ...any) error {
	return &backendError{backend.DownstreamErrorf(format, args...)}
}

// backendError marks a query that cannot be sent at all: Grafana shows 400.
type backendError struct{ error }

func (e *backendError) Unwrap() []error {
	return []error{e.error, &answerError{status: http.StatusBadRequest, reason: e.error.Error()}}
}

// aligned is the range on multiples of the step: points stay where they are
// when the range moves.
func (q question) aligned() (from, to time.Time) {
	return q.from.Truncate(q.step), q.to.Truncate(q.step)
}

func seconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', -1, 64)
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// probes are asked by the health check: a small question to every language.
var probes = []struct {
	name, path string
	params     url.Values
}{
	{"metrics", "/api/v1/query", url.Values{"query": {"1+1"}, "time": {"4"}}},
	{"logs", "/loki/api/v1/query", url.Values{"query": {"vector(1)+vector(1)"}, "time": {"4000000000"}}},
	{"traces", "/api/search", url.Values{"q": {"{}"}, "limit": {"1"}}},
}
