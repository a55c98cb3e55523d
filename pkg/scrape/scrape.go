// Package scrape fetches metrics from targets, as Prometheus does and with
// Prometheus's own code: its scrape configuration, its service discovery (static,
// file, HTTP, DNS, Kubernetes), its parsers of the text, OpenMetrics and
// protobuf expositions.
//
// What a target's life is: discovery finds it, relabelling makes it a target or
// drops it, its loop fetches and parses, and one transaction of the Appendable
// takes the samples of one fetch. A target that is gone ends its series with
// staleness markers.
package scrape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	prommodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/dns"        // makes dns_sd_configs known
	_ "github.com/prometheus/prometheus/discovery/file"       // makes file_sd_configs known
	_ "github.com/prometheus/prometheus/discovery/http"       // makes http_sd_configs known
	_ "github.com/prometheus/prometheus/discovery/kubernetes" // makes kubernetes_sd_configs known
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
)

// Options of a Manager.
type Options struct {
	// Appendable takes the samples.
	Appendable storage.AppendableV2
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// ReloadInterval is the least time between two changes of the targets; 0
	// means 5 s.
	ReloadInterval time.Duration
}

// Manager scrapes. Safe for concurrent use.
type Manager struct {
	opts    Options
	targets *scrape.Manager
	finder  *discovery.Manager
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New starts a manager without targets: Apply gives it some.
func New(o Options) (*Manager, error) {
	if o.Appendable == nil {
		return nil, errors.New("cannot scrape: Options.Appendable is nil")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.ReloadInterval <= 0 {
		o.ReloadInterval = 5 * time.Second
	}
	sd, err := discovery.CreateAndRegisterSDMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("cannot register service discovery: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Manager{opts: o, cancel: cancel}
	if m.finder = discovery.NewManager(ctx, o.Logger, o.Registerer, sd, discovery.Name("scrape"), discovery.Updatert(o.ReloadInterval)); m.finder == nil {
		cancel()
		return nil, errors.New("cannot start service discovery: see the log")
	}
	m.targets, err = scrape.NewManager(&scrape.Options{
		AppendMetadata: true, ParseST: true, EnableZstdScrape: true, DiscoveryReloadOnStartup: true,
		DiscoveryReloadInterval: prommodel.Duration(o.ReloadInterval),
	}, o.Logger, nil, nil, o.Appendable, o.Registerer)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("cannot start scraping: %w", err)
	}
	m.start("service discovery", m.finder.Run)
	m.start("scraping", func() error { return m.targets.Run(m.finder.SyncCh()) })
	return m, nil
}

func (m *Manager) start(what string, run func() error) {
	m.running.Add(1)
	go func() {
		defer m.running.Done()
		if err := run(); err != nil && !errors.Is(err, context.Canceled) {
			m.opts.Logger.Error(what+" has ended", "err", err)
		}
	}()
}

// Check reads a configuration without using it.
func Check(text []byte) error {
	_, _, err := parse(text, slog.New(slog.DiscardHandler))
	return err
}

// parse reads a Prometheus configuration and returns what concerns scraping.
func parse(text []byte, log *slog.Logger) (*config.Config, []*config.ScrapeConfig, error) {
	cfg, err := config.Load(string(text), log)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read scrape configuration: %w", err)
	}
	jobs, err := cfg.GetScrapeConfigs()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read scrape configuration: %w", err)
	}
	return cfg, jobs, nil
}

// Apply makes a configuration the current one: the text of a Prometheus
// configuration file, of which global, scrape_configs and scrape_config_files
// are used. After an error the one before goes on.
func (m *Manager) Apply(text []byte) error {
	cfg, jobs, err := parse(text, m.opts.Logger)
	if err != nil {
		return err
	}
	if err := m.targets.ApplyConfig(cfg); err != nil {
		return fmt.Errorf("cannot apply scrape configuration: %w", err)
	}
	found := make(map[string]discovery.Configs, len(jobs))
	for _, j := range jobs {
		found[j.JobName] = j.ServiceDiscoveryConfigs
	}
	if err := m.finder.ApplyConfig(found); err != nil {
		return fmt.Errorf("cannot apply service discovery: %w", err)
	}
	return nil
}

// Targets tells what is scraped, in the shape that Prometheus's HTTP API asks
// for.
func (m *Manager) Targets() *scrape.Manager { return m.targets }

// Close ends all scrapes and waits for them.
func (m *Manager) Close() {
	m.cancel()
	m.targets.Stop()
	m.running.Wait()
}
