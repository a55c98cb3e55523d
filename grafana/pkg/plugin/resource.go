package plugin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// resources is what the front end asks beside queries, for variables and
// autocomplete. Each answers a JSON list of strings, but metadata: an object.
func (d *Datasource) resources() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /services", d.list("/jaeger/api/services", nil))
	mux.HandleFunc("GET /metrics", d.list("/api/v1/label/__name__/values", nil))
	mux.HandleFunc("GET /labels", d.list("/api/v1/labels", []string{"match[]", "start", "end", "limit"}))
	mux.HandleFunc("GET /labels/{name}/values", d.list("/api/v1/label/{name}/values", []string{"match[]", "start", "end", "limit"}))
	mux.HandleFunc("GET /logs/labels", d.list("/loki/api/v1/labels", []string{"query", "start", "end"}))
	mux.HandleFunc("GET /logs/labels/{name}/values", d.list("/loki/api/v1/label/{name}/values", []string{"query", "start", "end"}))
	mux.HandleFunc("GET /metadata", d.describe)
	mux.HandleFunc("GET /traces/tags", d.traceTags)
	mux.HandleFunc("GET /traces/tags/{name}/values", d.traceValues)
	return mux
}

// list passes the named parameters on and answers the list under "data".
func (d *Datasource) list(path string, allowed []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		params := url.Values{}
		for _, k := range allowed {
			if v, ok := r.URL.Query()[k]; ok {
				params[k] = v
			}
		}
		var answer struct{ Data []string }
		err := d.client.get(r.Context(), withName(path, r), params, &answer)
		reply(w, answer.Data, err)
	}
}

func withName(path string, r *http.Request) string {
	const slot = "{name}"
	for i := 0; i+len(slot) <= len(path); i++ {
		if path[i:i+len(slot)] == slot {
			return path[:i] + url.PathEscape(r.PathValue("name")) + path[i+len(slot):]
		}
	}
	return path
}

// describe answers type, help and unit of the metric asked for, by its name.
func (d *Datasource) describe(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("metric")
	out := map[string]described{}
	if one, ok := d.describedMetric(r.Context(), name); ok {
		out[name] = one
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// traceTags answers attribute names as TraceQL writes them: with their scope.
func (d *Datasource) traceTags(w http.ResponseWriter, r *http.Request) {
	var answer struct {
		Scopes []struct {
			Name string
			Tags []string
		}
	}
	err := d.client.get(r.Context(), "/api/v2/search/tags", nil, &answer)
	var out []string
	for _, s := range answer.Scopes {
		for _, tag := range s.Tags {
			if s.Name != "intrinsic" {
				tag = s.Name + "." + tag
			}
			out = append(out, tag)
		}
	}
	reply(w, out, err)
}

func (d *Datasource) traceValues(w http.ResponseWriter, r *http.Request) {
	var answer struct {
		TagValues []struct{ Value string }
	}
	err := d.client.get(r.Context(), withName("/api/v2/search/tag/{name}/values", r), nil, &answer)
	out := make([]string, 0, len(answer.TagValues))
	for _, v := range answer.TagValues {
		out = append(out, v.Value)
	}
	reply(w, out, err)
}

func reply(w http.ResponseWriter, list []string, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		status := http.StatusBadGateway
		var answer *answerError
		if errors.As(err, &answer) {
			status = answer.status
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
		return
	}
	if list == nil {
		list = []string{}
	}
	_ = json.NewEncoder(w).Encode(list)
}
