package app

import (
	"net/http"

	"braid/pkg/ingest/lokipush"
	"braid/pkg/ingest/zipkin"
)

// registerProtocols tells the pipeline how to replay what other endpoints than
// OTLP's have put into the log.
func (a *App) registerProtocols(s *stores) {
	lokipush.Register(s.pipeline)
	zipkin.Register(s.pipeline)
	registerRemoteWrite(s)
}

// mountPushes adds the ways in of other systems' senders.
func (a *App) mountPushes(mux *http.ServeMux) {
	mux.Handle("POST /loki/api/v1/push", lokipush.Handler(a.local.pipeline))
	mux.Handle("POST /api/prom/push", lokipush.Handler(a.local.pipeline))
	mux.Handle("POST /api/v2/spans", zipkin.Handler(a.local.pipeline))
}
