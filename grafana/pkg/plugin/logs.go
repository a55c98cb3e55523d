package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// stream is log lines of one set of labels.
type stream struct {
	Labels map[string]string `json:"stream"`
	Lines  []line            `json:"values"`
}

// line is ["ns", "text", {"structuredMetadata": {...}, "parsed": {...}}].
type line struct {
	at     time.Time
	text   string
	labels map[string]string
}

func (l *line) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	var ns string
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return fmt.Errorf("a log line has a time and a text, this has %d parts", len(parts))
	}
	if err := json.Unmarshal(parts[0], &ns); err != nil {
		return err
	}
	at, err := strconv.ParseInt(ns, 10, 64)
	if err != nil {
		return fmt.Errorf("cannot read the time of a log line: %w", err)
	}
	l.at = time.Unix(0, at).UTC()
	if err := json.Unmarshal(parts[1], &l.text); err != nil || len(parts) == 2 {
		return err
	}
	var more struct {
		Metadata map[string]string `json:"structuredMetadata"`
		Parsed   map[string]string `json:"parsed"`
	}
	if err := json.Unmarshal(parts[2], &more); err != nil {
		return err
	}
	l.labels = more.Metadata
	if l.labels == nil {
		l.labels = map[string]string{}
	}
	for k, v := range more.Parsed {
		l.labels[k] = v
	}
	return nil
}

func (d *Datasource) logql(ctx context.Context, q question) (data.Frames, error) {
	params := url.Values{"query": {q.Expr}, "limit": {strconv.Itoa(q.Limit)}, "direction": {q.Direction}}
	path := "/loki/api/v1/query_range"
	if q.Instant {
		path = "/loki/api/v1/query"
		params.Set("time", nanos(q.to))
	} else {
		params.Set("start", nanos(q.from))
		params.Set("end", nanos(q.to))
		params.Set("step", strconv.FormatInt(q.step.Milliseconds(), 10)+"ms")
	}
	var m matrix
	if err := d.client.get(ctx, path, params, &m); err != nil {
		return nil, err
	}
	if m.Data.Type != "streams" {
		list, err := m.series()
		if err != nil {
			return nil, err
		}
		return d.seriesFrames(q, list, m.notes(), fieldHint{})
	}
	var list []stream
	if err := json.Unmarshal(m.Data.Result, &list); err != nil {
		return nil, backend.DownstreamErrorf("cannot understand log lines: %w", err)
	}
	f, err := d.links.logFrame(list)
	if err != nil {
		return nil, err
	}
	f.Meta.Custom = map[string]any{"limit": q.Limit}
	f.Meta.ExecutedQueryString = q.Expr
	return data.Frames{f}, nil
}

// logFrame is the logs frame of the data plane contract: timestamp, body,
// severity, id, labels; and trace_id besides, which leads to the request. Ids are
// unique within the answer and the same each time that it is asked for.
func (l linker) logFrame(list []stream) (*data.Frame, error) {
	var (
		times                         []time.Time
		bodies, severities, ids, tids []string
		labels                        []json.RawMessage
		seen                          = map[string]int{}
	)
	for _, s := range list {
		for _, one := range s.Lines {
			all := map[string]string{}
			for _, part := range []map[string]string{s.Labels, one.labels} {
				for k, v := range part {
					all[k] = v
				}
			}
			text, err := json.Marshal(all)
			if err != nil {
				return nil, err
			}
			// What a line is names it, so that it has the same id on another page;
			// lines that are the same in all are numbered.
			h := fnv.New64a()
			_, _ = h.Write(text)
			_, _ = h.Write([]byte(one.text))
			id := strconv.FormatInt(one.at.UnixNano(), 10) + "_" + strconv.FormatUint(h.Sum64(), 36)
			seen[id]++
			times, bodies, labels = append(times, one.at), append(bodies, one.text), append(labels, text)
			severities = append(severities, all["detected_level"])
			ids = append(ids, id+"_"+strconv.Itoa(seen[id]))
			tids = append(tids, all["trace_id"])
		}
	}
	trace := data.NewField("trace_id", nil, tids)
	trace.Config = &data.FieldConfig{Links: []data.DataLink{l.request("Request")}}
	f := data.NewFrame("", data.NewField("timestamp", nil, times), data.NewField("body", nil, bodies), data.NewField("severity", nil, severities),
		data.NewField("id", nil, ids), data.NewField("labels", nil, labels), trace)
	return f.SetMeta(&data.FrameMeta{Type: data.FrameTypeLogLines, TypeVersion: data.FrameTypeVersion{0, 0}, PreferredVisualization: data.VisTypeLogs}), nil
}
