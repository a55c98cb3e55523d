package plugin

import (
	"context"
	"encoding/json"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// mark is one annotation: a moment, or a stretch of time.
type mark struct {
	from, to    time.Time
	title, text string
	tags        []string
}

// markFrame is what Grafana's annotations read by the names of its fields.
func markFrame(name string, list []mark) data.Frames {
	sort.SliceStable(list, func(i, k int) bool { return list[i].from.Before(list[k].from) })
	n := len(list)
	from, to := make([]time.Time, n), make([]*time.Time, n)
	titles, texts, tags := make([]string, n), make([]string, n), make([]string, n)
	for i, m := range list {
		from[i], titles[i], texts[i], tags[i] = m.from, m.title, m.text, strings.Join(m.tags, ",")
		if m.to.After(m.from) {
			to[i] = &list[i].to
		}
	}
	f := data.NewFrame(name, data.NewField("time", nil, from), data.NewField("timeEnd", nil, to), data.NewField("title", nil, titles),
		data.NewField("text", nil, texts), data.NewField("tags", nil, tags))
	return data.Frames{f.SetMeta(&data.FrameMeta{DataTopic: data.DataTopicAnnotations, PreferredVisualization: data.VisTypeTable})}
}

// alerts marks when alerts fired: the stretches of ALERTS, which the alerter
// keeps. The text is label matchers that narrow them.
func (d *Datasource) alerts(ctx context.Context, q question) (data.Frames, error) {
	matchers := strings.Trim(strings.TrimSpace(q.Expr), "{}")
	if matchers != "" {
		matchers = "," + matchers
	}
	// Fine enough to see an alert of a minute, and bounded for long ranges.
	step := max(15*time.Second, q.to.Sub(q.from)/5000).Truncate(time.Second)
	from, to := q.from.Truncate(step), q.to.Truncate(step)
	params := url.Values{"query": {`ALERTS{alertstate="firing"` + matchers + `}`}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}}
	var m matrix
	if err := d.client.get(ctx, "/api/v1/query_range", params, &m); err != nil {
		return nil, err
	}
	list, err := m.series()
	if err != nil {
		return nil, err
	}
	var marks []mark
	for _, s := range list {
		name := s.Metric["alertname"]
		var tags, words []string
		for k, v := range s.Metric {
			if k != "__name__" && k != "alertstate" && k != "alertname" {
				tags = append(tags, k+":"+v)
				words = append(words, k+"="+v)
			}
		}
		for i := 0; i < len(s.Values); {
			last := i
			for last+1 < len(s.Values) && s.Values[last+1].at.Sub(s.Values[last].at) <= step {
				last++
			}
			marks = append(marks, mark{from: s.Values[i].at, to: s.Values[last].at.Add(step), title: name, text: strings.Join(sorted(words), ", "), tags: sorted(tags)})
			i = last + 1
		}
	}
	return markFrame("Alerts", marks), nil
}

// sameDeploy is how far apart an event and the first request of its version may
// be to be one deploy.
const sameDeploy = 10 * time.Minute

// deploys marks new versions: events named "deployment" in the logs, and besides
// the first request that a version of a service served. The text is a service.
func (d *Datasource) deploys(ctx context.Context, q question) (data.Frames, error) {
	marks, err := d.deployEvents(ctx, q)
	if err != nil {
		return nil, err
	}
	seen, err := d.newVersions(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, m := range seen {
		told := false
		for _, other := range marks {
			told = told || (other.tags[0] == m.tags[0] && other.tags[1] == m.tags[1] && m.from.Sub(other.from).Abs() < sameDeploy)
		}
		if !told {
			marks = append(marks, m)
		}
	}
	return markFrame("Deploys", marks), nil
}

func (d *Datasource) deployEvents(ctx context.Context, q question) ([]mark, error) {
	selector := `{service_name=~".+"}`
	if q.Expr != "" {
		selector = "{service_name=" + strconv.Quote(q.Expr) + "}"
	}
	params := url.Values{"query": {selector + ` | event_name="deployment"`}, "limit": {strconv.Itoa(q.Limit)}, "start": {nanos(q.from)}, "end": {nanos(q.to)}}
	var m matrix
	if err := d.client.get(ctx, "/loki/api/v1/query_range", params, &m); err != nil {
		return nil, err
	}
	var list []stream
	if err := json.Unmarshal(m.Data.Result, &list); err != nil {
		return nil, backend.DownstreamErrorf("cannot understand log lines: %w", err)
	}
	var marks []mark
	for _, s := range list {
		for _, l := range s.Lines {
			service, version := s.Labels["service_name"], l.labels["service_version"]
			if version == "" {
				version = s.Labels["service_version"]
			}
			marks = append(marks, mark{from: l.at, title: strings.TrimSpace(service + " " + version), text: l.text, tags: []string{"service:" + service, "version:" + version}})
		}
	}
	return marks, nil
}

func (d *Datasource) newVersions(ctx context.Context, q question) ([]mark, error) {
	filter := "{kind=server}"
	if q.Expr != "" {
		filter = "{kind=server && resource.service.name=" + strconv.Quote(q.Expr) + "}"
	}
	step := max(10*time.Second, q.to.Sub(q.from)/300).Truncate(time.Second)
	list, err := d.spanSeries(ctx, filter+" | rate() by(resource.service.name, resource.service.version)", q.from, q.to, step)
	if err != nil {
		return nil, err
	}
	var marks []mark
	for _, s := range list {
		service, version := s.Metric["resource.service.name"], s.Metric["resource.service.version"]
		if version == "" || version == "nil" {
			continue
		}
		for _, p := range s.Values {
			if p.value > 0 {
				// What was there from the start is no news.
				if p.at.Sub(q.from) > 2*step {
					marks = append(marks, mark{from: p.at, title: service + " " + version, text: "first request of this version", tags: []string{"service:" + service, "version:" + version}})
				}
				break
			}
		}
	}
	return marks, nil
}
