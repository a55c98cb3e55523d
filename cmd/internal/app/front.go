package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/collector/config/configtls"
	"google.golang.org/grpc"

	"braid/cmd/internal/config"
	"braid/pkg/ingest"
)

// front is the HTTP port. It answers health from the first moment; everything
// else is 503 until the APIs are there.
type front struct {
	apis atomic.Pointer[http.Handler]
	// grpc answers gRPC on the same port: Grafana's Tempo data source streams
	// from where it asks over HTTP.
	grpc atomic.Pointer[grpc.Server]
}

// listen opens a port, with TLS when the settings say so.
func listen(ctx context.Context, l config.Listener) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", l.Listen, err)
	}
	conf, err := tlsConfig(ctx, l.TLS)
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	if conf == nil {
		return ln, nil
	}
	return tls.NewListener(ln, conf), nil
}

// tlsConfig makes TLS settings with the Collector's library, which reads
// certificates again when they change; nil means no TLS.
func tlsConfig(ctx context.Context, t config.TLS) (*tls.Config, error) {
	s := tlsSettings(t)
	if s == nil {
		return nil, nil
	}
	conf, err := s.LoadTLSConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	conf.NextProtos = []string{"h2", "http/1.1"}
	return conf, nil
}

// reloadCertificates is how often a changed certificate is looked for.
const reloadCertificates = time.Minute

func tlsSettings(t config.TLS) *configtls.ServerConfig {
	if t.CertFile == "" {
		return nil
	}
	s := configtls.NewDefaultServerConfig()
	s.CertFile, s.KeyFile, s.ClientCAFile = t.CertFile, t.KeyFile, t.ClientCAFile
	s.MinVersion = "1.2"
	s.ReloadInterval = reloadCertificates
	return &s
}

func (a *App) openFront(ctx context.Context) error {
	ln, err := listen(ctx, a.cfg.Load().HTTP)
	if err != nil {
		return err
	}
	a.ports.http = ln.Addr().String()
	a.front = &front{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.health.handleHealth)
	mux.HandleFunc("GET /-/ready", a.health.handleReady)
	mux.HandleFunc("GET /readyz", a.health.handleReady)
	mux.HandleFunc("GET /ready", a.health.handleReady)
	alive := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Braid is alive.\n")) }
	mux.HandleFunc("GET /-/healthy", alive)
	mux.HandleFunc("GET /livez", alive)
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(a.reg, promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{EnableOpenMetrics: true})))
	mux.HandleFunc("POST /-/reload", a.handleReload)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", a.handleAPIs)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	// A page of another site must not be able to silence an alert or delete
	// data with a user's browser.
	sameOrigin := http.NewCrossOriginProtection()
	srv := &http.Server{Handler: a.guardRequest(sameOrigin.Handler(mux)), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, Protocols: protocols}
	go func() {
		if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("HTTP port failed", "err", err)
		}
	}()
	a.onStop("HTTP port", func(ctx context.Context) error {
		// Live tails never end by themselves: a short grace, then closed.
		grace, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if err := srv.Shutdown(grace); err != nil {
			return srv.Close()
		}
		return nil
	})
	return nil
}

// guardRequest gives every request an id, and turns a panic into a 500 that
// is logged and ends nothing but the request.
func (a *App) guardRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ingest.RequestID(w, r)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			a.log.Error("request failed by a bug", "method", r.Method, "path", r.URL.Path, "request_id", id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			writeJSON(w, http.StatusInternalServerError, map[string]string{"status": "error", "errorType": "internal", "error": "a bug in Braid: please report it with request id " + id})
		}()
		next.ServeHTTP(w, r)
	})
}

func (a *App) handleAPIs(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		if srv := a.front.grpc.Load(); srv != nil {
			srv.ServeHTTP(w, r)
			return
		}
	}
	if h := a.front.apis.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	a.health.handleReady(w, r)
}

func (a *App) handleReload(w http.ResponseWriter, _ *http.Request) {
	if err := a.Reload(); err != nil {
		a.log.Error("cannot reload the configuration; the old one stays", "err", err)
		http.Error(w, "cannot reload, the old configuration stays: "+err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte("reloaded\n"))
}
