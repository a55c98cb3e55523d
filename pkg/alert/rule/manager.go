package rule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
)

// Options of a Manager. Queryable, Query, Appendable, Notify and Parser are
// required.
type Options struct {
	// Files are paths and globs of rule files.
	Files []string
	// Interval is that of groups which name none; 0 means one minute.
	Interval    time.Duration
	Query       rules.QueryFunc
	Queryable   storage.Queryable // for the state of alerts after a restart
	Appendable  storage.Appendable
	Notify      rules.NotifyFunc
	Parser      parser.Parser
	ExternalURL *url.URL
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
	// MaxConcurrent bounds the rules evaluated at once; 0 means 8.
	MaxConcurrent int64
}

// Manager runs the rules of one tenant. Safe for concurrent use.
type Manager struct {
	o   Options
	m   *rules.Manager
	mu  sync.Mutex // one reload at a time
	run sync.Once
	wg  sync.WaitGroup
}

// New makes a manager; Reload loads the files, Start begins to evaluate.
func New(ctx context.Context, o Options) *Manager {
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = 8
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{Scheme: "http", Host: "localhost:4320"}
	}
	return &Manager{o: o, m: rules.NewManager(&rules.ManagerOptions{
		NameValidationScheme: commonmodel.UTF8Validation, ExternalURL: o.ExternalURL, QueryFunc: o.Query, NotifyFunc: o.Notify, Context: ctx,
		Appendable: o.Appendable, Queryable: o.Queryable, Logger: o.Logger, Registerer: o.Registerer, Parser: o.Parser,
		// An outage shorter than the tolerance does not restart "for"; an alert
		// that was to fire during it waits the grace period at most.
		OutageTolerance: time.Hour, ForGracePeriod: 10 * time.Minute, ResendDelay: time.Minute,
		MaxConcurrentEvals: o.MaxConcurrent, ConcurrentEvalsEnabled: o.MaxConcurrent > 1, RestoreNewRuleGroups: true,
	})}
}

// Start begins to evaluate. Call it once sources answer.
func (m *Manager) Start() {
	m.run.Do(func() {
		m.wg.Add(1)
		go func() {
			defer m.wg.Done()
			m.m.Run()
		}()
	})
}

// Stop ends after evaluations in progress.
func (m *Manager) Stop() {
	m.Start() // Stop of a manager that never ran would wait for ever
	m.m.Stop()
	m.wg.Wait()
}

// Expand returns the files that paths and globs name, sorted, each once. A
// path without a glob must exist.
func Expand(patterns []string) ([]string, error) {
	seen := map[string]bool{}
	var out []string
	for _, p := range patterns {
		list, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("rule files %q: %w", p, err)
		}
		if len(list) == 0 && !hasMeta(p) {
			return nil, fmt.Errorf("rule file %q does not exist", p)
		}
		for _, f := range list {
			if !seen[f] {
				seen[f] = true
				out = append(out, f)
			}
		}
	}
	sort.Strings(out)
	return out, nil
}

func hasMeta(p string) bool {
	for _, c := range p {
		if c == '*' || c == '?' || c == '[' {
			return true
		}
	}
	return false
}

// Check reads rule files and reports everything that is wrong with them.
func Check(files []string, p parser.Parser, log *slog.Logger) error {
	var errs []error
	for _, f := range files {
		_, bad := rulefmt.ParseFile(f, false, commonmodel.UTF8Validation, p, log)
		for _, err := range bad {
			errs = append(errs, fmt.Errorf("rule file %s: %w", f, err))
		}
	}
	return errors.Join(errs...)
}

// Reload reads the files again. On an error the rules stay as they were.
func (m *Manager) Reload() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	files, err := Expand(m.o.Files)
	if err != nil {
		return err
	}
	if err := Check(files, m.o.Parser, m.o.Logger); err != nil {
		return err
	}
	if err := m.m.Update(m.o.Interval, files, labels.EmptyLabels(), m.o.ExternalURL.String(), nil); err != nil {
		return fmt.Errorf("cannot load rules: %w", err)
	}
	return nil
}

// RuleGroups and AlertingRules make Manager what Prometheus's API asks of.
func (m *Manager) RuleGroups() []*rules.Group { return m.m.RuleGroups() }

// AlertingRules returns the alerting rules.
func (m *Manager) AlertingRules() []*rules.AlertingRule { return m.m.AlertingRules() }
