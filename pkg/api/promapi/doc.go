// Package promapi speaks Prometheus's HTTP API, so that Grafana, promtool and
// whatever else knows Prometheus can ask Braid.
//
// The life of a request: api.go reads the tenant and looks the path up in the
// table of routes.go (an unknown path is a JSON 404); guard.go takes a place
// for it among the tenant's queries; the tenant's own instance of Prometheus's
// web/api/v1 answers, over the tenant's series and with the one PromQL engine
// that all tenants share. What Prometheus would answer from its scrape manager
// or its memory is answered from the store instead: metadata.go, exemplars.go.
// federate.go is /federate.
package promapi
