package tempoapi

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

type jsonSeries struct {
	Labels     []keyValue     `json:"labels"`
	Samples    []jsonSample   `json:"samples"`
	PromLabels string         `json:"promLabels"`
	Exemplars  []jsonExemplar `json:"exemplars,omitempty"`
}

type jsonSample struct {
	TimestampMs string  `json:"timestampMs"`
	Value       float64 `json:"value"`
}

type jsonExemplar struct {
	Labels      []keyValue `json:"labels"`
	Value       float64    `json:"value"`
	TimestampMs string     `json:"timestampMs"`
}

type jsonInstant struct {
	Labels     []keyValue `json:"labels"`
	Value      float64    `json:"value"`
	PromLabels string     `json:"promLabels"`
}

func (a *API) queryRange(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	p, err := a.parseMetrics(r.URL.Query())
	if err != nil {
		return err
	}
	res, err := a.opts.Engine.MetricsRange(r.Context(), t, p)
	if err != nil {
		return err
	}
	series := []jsonSeries{}
	for i := range res.Series {
		series = append(series, newSeries(&res.Series[i]))
	}
	return writeMetrics(w, series, res)
}

func (a *API) queryInstant(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	p, err := a.parseMetrics(r.URL.Query())
	if err != nil {
		return err
	}
	res, err := a.opts.Engine.MetricsInstant(r.Context(), t, p)
	if err != nil {
		return err
	}
	series := []jsonInstant{}
	for i := range res.Series {
		s := &res.Series[i]
		for _, x := range s.Samples {
			if finite(x.Value) {
				series = append(series, jsonInstant{seriesLabels(s), x.Value, promLabels(s.Labels)})
			}
		}
	}
	return writeMetrics(w, series, res)
}

func writeMetrics(w http.ResponseWriter, series any, res *traceql.MetricsResult) error {
	out := map[string]any{"series": series, "metrics": newMetrics(res.Stats, 0)}
	if status, message := wholeness(res.Stats); status == statusPartial {
		out["status"], out["message"] = "PARTIAL", message
	}
	return writeJSON(w, out)
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func millis(ns int64) string { return strconv.FormatInt(ns/1e6, 10) }

// newSeries tells samples by the end of their step, as Tempo does.
func newSeries(s *traceql.Series) jsonSeries {
	out := jsonSeries{Labels: seriesLabels(s), Samples: []jsonSample{}, PromLabels: promLabels(s.Labels)}
	for _, x := range s.Samples {
		if finite(x.Value) {
			out.Samples = append(out.Samples, jsonSample{millis(x.T), x.Value})
		}
	}
	for _, x := range s.Exemplars {
		out.Exemplars = append(out.Exemplars, jsonExemplar{keyValues(exemplarLabels(x)), x.Value, millis(x.T)})
	}
	return out
}

func exemplarLabels(x traceql.Exemplar) model.Attrs {
	return model.Attrs{{Key: "trace:id", Value: model.String(x.TraceID.String())}, {Key: "span:id", Value: model.String(x.SpanID.String())}}
}

func seriesLabels(s *traceql.Series) []keyValue {
	out := []keyValue{}
	for _, l := range s.Labels {
		out = append(out, keyValue{l.Name, anyValue{l.Value}})
	}
	return out
}

// promLabels spells the labels as one text, which clients use as a key.
func promLabels(labels []traceql.Label) string {
	parts := make([]string, len(labels))
	for i, l := range labels {
		parts[i] = l.Name + "=" + strconv.Quote(l.Value.Text())
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
