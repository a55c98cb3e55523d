package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"braid/cmd/internal/config"
	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/query/engine"
	"braid/pkg/scrape"
)

// Role says which parts a process runs.
type Role uint8

// The roles; they may be combined.
const (
	Ingester Role = 1 << iota
	Querier
	Alerter
	Serve = Ingester | Querier | Alerter
)

func (r Role) has(x Role) bool { return r&x != 0 }

// String names the program.
func (r Role) String() string {
	switch r {
	case Ingester:
		return "ingester"
	case Querier:
		return "querier"
	case Alerter:
		return "alerter"
	}
	return "braid"
}

// Options of a process.
type Options struct {
	Role       Role
	ConfigFile string
	// Load reads the configuration: file, environment and flags. It is called
	// again on reload.
	Load    func() (*config.Config, error)
	Version string
	Out     io.Writer // where the greeting goes; nil means standard output
	// Reload asks to read the configuration again: SIGHUP.
	Reload <-chan os.Signal
}

// App is one process's parts.
type App struct {
	o      Options
	cfg    atomic.Pointer[config.Config]
	spec   atomic.Pointer[model.KeySpec]
	log    *slog.Logger
	level  slog.LevelVar
	reg    *prometheus.Registry
	health *wellness
	guard  *engine.Guard
	front  *front
	stops  []stop

	local    *stores         // ingester role
	scrape   *scrape.Manager // nil when nothing is scraped
	sources  *sources
	engines  *engines
	alerts   *alerting
	dialects *dialects    // querier role
	gateway  http.Handler // REST form of the native API
	ports    ports

	reloadMu sync.Mutex // one reload at a time
}

type stop struct {
	name string
	do   func(context.Context) error
}

// ports are the addresses that were opened.
type ports struct {
	http, grpc, otlpHTTP, otlpGRPC string
}

// stopTimeout is how long a process may take to end: long enough to flush
// heads, short enough for an orchestrator that waits 30 s.
const stopTimeout = 25 * time.Second

// Run runs a process until the context ends.
func Run(ctx context.Context, o Options) error {
	a, err := New(ctx, o)
	if err != nil {
		return err
	}
	tuneGC()
	for running := true; running; {
		select {
		case <-o.Reload:
			if err := a.Reload(); err != nil {
				a.log.Error("cannot reload the configuration; the old one stays", "err", err)
			}
		case <-ctx.Done():
			running = false
		}
	}
	a.log.Info("stopping")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return a.Stop(stopCtx)
}

// New opens all parts and returns when the process is ready. On an error
// everything opened is closed again.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	cfg, err := o.Load()
	if err != nil {
		return nil, err
	}
	a := &App{o: o, reg: prometheus.NewRegistry()}
	a.cfg.Store(cfg)
	a.spec.Store(cfg.Correlation.KeySpec())
	a.log = a.newLogger(cfg.Log)
	a.health = newHealth(a.reg)
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer deferGC()()
	if err := a.open(ctx); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return nil, errors.Join(err, a.Stop(stopCtx))
	}
	return a, nil
}

// open runs the steps in the order in which data flows.
func (a *App) open(ctx context.Context) error {
	cfg := a.cfg.Load()
	a.guard = engine.New(engine.Options{MaxConcurrent: cfg.Query.MaxConcurrent, Timeout: cfg.Query.Timeout.Std(), Registerer: a.reg})
	steps := []struct {
		name string
		when bool
		do   func(context.Context) error
	}{
		{"data folder", true, a.lockData},
		{"HTTP port", true, a.openFront},
		{"stores", a.o.Role.has(Ingester), a.openStorage},
		{"sources", true, a.openSources},
		{"engines", true, a.openEngines},
		{"alerting", a.o.Role.has(Alerter), a.openAlerting},
		{"gRPC port", true, a.openGRPC},
		{"APIs", true, a.openAPIs},
		{"OTLP ports", a.o.Role.has(Ingester), a.openReceivers},
		{"scraping", a.o.Role.has(Ingester), a.openScrape},
		{"own telemetry", a.o.Role.has(Ingester), a.openSelf},
		{"rules", a.o.Role.has(Alerter), a.startRules},
	}
	for _, s := range steps {
		if !s.when {
			continue
		}
		a.health.waiting(s.name)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("cannot open %s: %w", s.name, err)
		}
	}
	a.health.ready()
	a.greet()
	return nil
}

// onStop registers what closes a part; parts close in reverse order.
func (a *App) onStop(name string, do func(context.Context) error) {
	a.stops = append(a.stops, stop{name, do})
}

// Stop closes all parts in reverse order of opening.
func (a *App) Stop(ctx context.Context) error {
	a.health.stopping()
	var errs []error
	for i := len(a.stops) - 1; i >= 0; i-- {
		s := a.stops[i]
		started := time.Now()
		if err := s.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("cannot close %s: %w", s.name, err))
		}
		if took := time.Since(started); took > time.Second {
			a.log.Info("closed", "part", s.name, "took", took.Round(time.Millisecond))
		}
	}
	a.stops = nil
	return errors.Join(errs...)
}

// lockData makes the data folder ours alone.
func (a *App) lockData(context.Context) error {
	dir := a.cfg.Load().DataDir
	if err := vfs.OS.MkdirAll(dir); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	lock, err := vfs.OS.Lock(filepath.Join(dir, a.o.Role.String()+".lock"))
	if err != nil {
		return fmt.Errorf("data_dir %s is in use by another process: %w", dir, err)
	}
	a.onStop("data folder", func(context.Context) error { return lock.Close() })
	return nil
}

// keySpec is handed to whoever must see changes of configuration.
func (a *App) keySpec() *model.KeySpec { return a.spec.Load() }

// Reload reads the configuration again: limits, tenants, correlation kinds,
// log level and alerting take effect; a broken file changes nothing.
func (a *App) Reload() error {
	a.reloadMu.Lock()
	defer a.reloadMu.Unlock()
	cfg, err := a.o.Load()
	if err != nil {
		return err
	}
	if a.alerts != nil {
		if err := a.alerts.reload(cfg); err != nil {
			return err
		}
	}
	if err := a.applyScrape(cfg.Metrics.ScrapeConfig); err != nil {
		return err
	}
	// The same kinds are the same spec: what stores have found out about it holds.
	if !reflect.DeepEqual(cfg.Correlation, a.cfg.Load().Correlation) {
		a.spec.Store(cfg.Correlation.KeySpec())
	}
	a.cfg.Store(cfg)
	a.setLevel(cfg.Log.Level)
	a.log.Info("configuration reloaded", "file", a.o.ConfigFile)
	return nil
}
