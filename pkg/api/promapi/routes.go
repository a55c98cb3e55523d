package promapi

import (
	"encoding/json"
	"net/http"
	"strings"
)

type routeKind uint8

const (
	kindPlain    routeKind = iota
	kindQuery              // takes a place among the tenant's queries
	kindRead               // likewise; frames that are compressed already
	kindMetadata           // answered here
	kindFederate
	kindWrite
	kindOTLP
	kindOpenAPI
	kindAdmin  // answered by the tenant's own instance
	kindSearch // likewise, and takes a place
)

type routeInfo struct {
	methods string // comma-separated; OPTIONS and HEAD go without saying
	kind    routeKind
}

func (r routeInfo) allows(method string) bool {
	if method == http.MethodOptions {
		return r.kind != kindWrite && r.kind != kindOTLP
	}
	for m := range strings.SplitSeq(r.methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

const (
	apiPrefix = "/api/v1"
	get       = "GET"
	post      = "POST"
	getPost   = "GET, POST"
	postPut   = "POST, PUT"
)

// routes are the paths below apiPrefix. Prometheus's own router answers all but
// those with a kind of their own; it is asked only for paths listed here, so
// that every other one gets a JSON answer.
var routes = map[string]routeInfo{
	"/query": {getPost, kindQuery}, "/query_range": {getPost, kindQuery}, "/query_exemplars": {getPost, kindQuery},
	"/format_query": {getPost, kindPlain}, "/parse_query": {getPost, kindPlain},
	"/labels": {getPost, kindQuery}, "/series": {getPost, kindQuery}, "/metadata": {get, kindMetadata},
	"/scrape_pools": {get, kindPlain}, "/targets": {get, kindPlain}, "/targets/metadata": {get, kindPlain},
	"/targets/relabel_steps": {get, kindPlain},
	"/alertmanagers":         {get, kindPlain}, "/alerts": {get, kindPlain}, "/rules": {get, kindPlain},
	"/status/config": {get, kindPlain}, "/status/runtimeinfo": {get, kindPlain}, "/status/buildinfo": {get, kindPlain},
	"/status/flags": {get, kindPlain}, "/status/tsdb": {get, kindAdmin}, "/status/tsdb/blocks": {get, kindAdmin},
	"/status/walreplay": {get, kindAdmin}, "/features": {get, kindPlain},
	"/notifications": {get, kindPlain},
	"/read":          {post, kindRead}, "/write": {post, kindWrite}, "/otlp/v1/metrics": {post, kindOTLP},
	"/search/metric_names": {getPost, kindSearch}, "/search/label_names": {getPost, kindSearch}, "/search/label_values": {getPost, kindSearch},
	"/admin/tsdb/delete_series": {postPut, kindAdmin}, "/admin/tsdb/clean_tombstones": {postPut, kindAdmin},
	"/admin/tsdb/snapshot": {postPut, kindAdmin},
	"/openapi.yaml":        {get, kindOpenAPI},
}

func findRoute(path string) (routeInfo, bool) {
	if path == "/federate" {
		return routeInfo{get, kindFederate}, true
	}
	rest, ok := strings.CutPrefix(path, apiPrefix)
	if !ok {
		return routeInfo{}, false
	}
	if r, ok := routes[rest]; ok {
		return r, true
	}
	if name, ok := strings.CutPrefix(rest, "/label/"); ok {
		name, ok = strings.CutSuffix(name, "/values")
		if ok && name != "" && !strings.Contains(name, "/") {
			return routeInfo{get, kindQuery}, true
		}
	}
	return routeInfo{}, false
}

// respondError writes Prometheus's error envelope.
func respondError(w http.ResponseWriter, status int, kind, message string) {
	respond(w, status, map[string]string{"status": "error", "errorType": kind, "error": message})
}

// respondData writes Prometheus's success envelope.
func respondData(w http.ResponseWriter, data any) {
	respond(w, http.StatusOK, map[string]any{"status": "success", "data": data})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// A failed write means that the client has gone: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}
