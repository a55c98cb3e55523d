package lokiapi

import (
	"encoding/json"
	"net/http"
	"time"

	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

func (a *api) query(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	at, err := timeParam(r, "time", a.Now())
	if err != nil {
		return err
	}
	p, err := a.params(r)
	if err != nil {
		return err
	}
	p.Instant, p.Start, p.End = true, at, at
	return a.answer(w, r, t, p)
}

// params reads what instant and range queries share.
func (a *api) params(r *http.Request) (p logql.Params, err error) {
	if p.Expr = r.Form.Get("query"); p.Expr == "" {
		return p, invalid("parameter query is missing: expected LogQL")
	}
	if p.Limit, err = intParam(r, "limit", 100); err != nil {
		return p, err
	}
	if p.Limit == 0 {
		return p, invalid("parameter limit=0: expected at least 1")
	}
	p.Direction, err = direction(r)
	return p, err
}

func (a *api) queryRange(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	p, err := a.params(r)
	if err != nil {
		return err
	}
	if p.Start, p.End, err = a.timeRange(r, time.Hour); err != nil {
		return err
	}
	if p.Step, err = durationParam(r, "step", defaultStep(p.Start, p.End)); err != nil {
		return err
	}
	if p.Interval, err = durationParam(r, "interval", 0); err != nil {
		return err
	}
	if p.Interval < 0 {
		return invalid("parameter interval=%s is negative", p.Interval)
	}
	return a.answer(w, r, t, p)
}

func (a *api) answer(w http.ResponseWriter, r *http.Request, t tenant.ID, p logql.Params) error {
	res, err := a.Engine.Query(r.Context(), t, p)
	if err != nil {
		return err
	}
	return writeResult(w, res, categorize(r))
}

// legacyQuery is /api/prom/query: log queries over a range, and the streams
// alone in the answer.
func (a *api) legacyQuery(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	p, err := a.params(r)
	if err != nil {
		return err
	}
	if p.Start, p.End, err = a.timeRange(r, time.Hour); err != nil {
		return err
	}
	p.Step = defaultStep(p.Start, p.End)
	res, err := a.Engine.Query(r.Context(), t, p)
	if err != nil {
		return err
	}
	if res.Type != logql.Streams {
		return invalid("/api/prom/query answers log queries only: ask /loki/api/v1/query_range for metric queries")
	}
	type entry struct {
		TS   time.Time `json:"ts"`
		Line string    `json:"line"`
	}
	type stream struct {
		Labels  string  `json:"labels"`
		Entries []entry `json:"entries"`
	}
	out := struct {
		Streams []stream `json:"streams"`
		Stats   stats    `json:"stats"`
	}{[]stream{}, statsOf(res)}
	for _, s := range flatten(res.Streams) {
		st := stream{Labels: s.Labels.String()}
		for _, e := range s.Entries {
			st.Entries = append(st.Entries, entry{time.Unix(0, e.Time).UTC(), e.Line})
		}
		out.Streams = append(out.Streams, st)
	}
	return writeJSON(w, out)
}

func (a *api) formatQuery(w http.ResponseWriter, r *http.Request, _ tenant.ID) error {
	e, err := logql.Parse(r.Form.Get("query"))
	if err != nil { // the one endpoint whose errors are JSON
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"status": "invalid-query", "error": err.Error()})
		return nil
	}
	return writeJSON(w, success(logql.Format(e)))
}

func (a *api) buildInfo(w http.ResponseWriter, _ *http.Request, _ tenant.ID) error {
	return writeJSON(w, map[string]string{
		"version": lokiVersion, "revision": a.Version, "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
	})
}

// lokiVersion is the version of Loki whose API is spoken.
const lokiVersion = "3.5.0"

// drilldownLimits tells Logs Drilldown what it may ask.
func (a *api) drilldownLimits(w http.ResponseWriter, _ *http.Request, _ tenant.ID) error {
	l := a.Engine.Limits()
	return writeJSON(w, map[string]any{
		"limits": map[string]any{
			"discover_log_levels":            true,
			"discover_service_name":          []string{"service_name"},
			"log_level_fields":               []string{"detected_level", "level"},
			"max_entries_limit_per_query":    l.MaxEntries,
			"max_line_size_truncate":         true,
			"max_query_bytes_read":           "0B",
			"max_query_length":               promDuration(l.MaxRange),
			"max_query_lookback":             "0s",
			"max_query_range":                "0s",
			"max_query_series":               l.MaxSeries,
			"metric_aggregation_enabled":     false,
			"otlp_config":                    map[string]any{},
			"pattern_persistence_enabled":    false,
			"query_timeout":                  "5m",
			"retention_period":               promDuration(a.Retention),
			"retention_stream":               []any{},
			"volume_enabled":                 true,
			"volume_max_series":              maxVolumeSeries,
			"allow_structured_metadata":      true,
			"max_streams_matchers_per_query": 0,
		},
		"pattern_ingester_enabled": true,
		"version":                  lokiVersion,
		"maxDetectedFields":        maxDetectedFields,
		"maxDetectedValues":        maxDetectedFields,
		"maxLabelValues":           maxLabelValues,
		"maxLines":                 l.MaxEntries,
	})
}

func promDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	return logql.FormatDuration(d)
}
