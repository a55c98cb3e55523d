package plugin

import "github.com/grafana/grafana-plugin-sdk-go/data"

// linker makes links from a field to another question to the same data source.
// They open in Explore; in dashboards too.
type linker struct{ uid, name string }

// to asks a query; it may hold Grafana's variables of the row, ${__value.raw}
// and ${__data.fields.…}.
func (l linker) to(title string, query map[string]any) data.DataLink {
	asked := map[string]any{"refId": "A", "editorMode": "code", "datasource": map[string]string{"type": "braid-datasource", "uid": l.uid}}
	for k, v := range query {
		asked[k] = v
	}
	return data.DataLink{Title: title, Internal: &data.InternalDataLink{DatasourceUID: l.uid, DatasourceName: l.name, Query: asked}}
}

// request leads from an id to everything that is known of it.
func (l linker) request(title string) data.DataLink {
	return l.to(title, map[string]any{"queryType": typeRequest, "expr": "${__value.raw}"})
}

// ofService leads from a service to its spans, log lines and rate.
func (l linker) ofService(service string) []data.DataLink {
	return []data.DataLink{
		l.to("Requests", map[string]any{"queryType": typeTraceQL, "expr": `{kind=server && resource.service.name="` + service + `"}`}),
		l.to("Failed requests", map[string]any{"queryType": typeTraceQL, "expr": `{status=error && resource.service.name="` + service + `"}`}),
		l.to("Log lines", map[string]any{"queryType": typeLogQL, "expr": `{service_name="` + service + `"}`}),
		l.to("Rate", map[string]any{"queryType": typeTraceQL, "expr": `{kind=server && resource.service.name="` + service + `"} | rate() by(name)`}),
		l.to("Duration", map[string]any{"queryType": typeTraceQL, "expr": `{kind=server && resource.service.name="` + service + `"} | quantile_over_time(duration, .5, .95, .99)`}),
	}
}

// ofSpan leads from a span of the trace view to its log lines, those of its
// request, and its service.
func (l linker) ofSpan() []data.DataLink {
	return append([]data.DataLink{
		l.to("Log lines of the request", map[string]any{"queryType": typeLogQL, "expr": `{service_name=~".+"} | trace_id="${__data.fields.traceID}"`}),
		l.to("Log lines of this span", map[string]any{"queryType": typeLogQL, "expr": `{service_name="${__data.fields.serviceName}"} | trace_id="${__data.fields.traceID}" | span_id="${__data.fields.spanID}"`}),
	}, l.ofService("${__data.fields.serviceName}")...)
}
