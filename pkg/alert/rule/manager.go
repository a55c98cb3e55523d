package rule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"go.yaml.in/yaml/v3"
)

// Options of a Manager. Queryable, Query, Appendable, Notify and Parser are
// required.
type Options struct {
	// Files are paths and globs of rule files.
	Files []string
	// Interval is that of groups which name none; 0 means one minute.
	Interval time.Duration
	// More names further files at every reload: those of a Store. Optional.
	More       func() ([]string, error)
	Query      rules.QueryFunc
	Queryable  storage.Queryable // for the state of alerts after a restart
	Appendable storage.Appendable
	Notify     NotifyFunc
	Parser     parser.Parser
	// Virtual checks the query in a virtual selector of a language, "logql" or
	// "traceql", when rules are loaded. Optional.
	Virtual func(language, expr string) error
	// Any reports whether what a virtual selector asks exists at all: whether
	// its stream or spans do. Optional.
	Any         func(ctx context.Context, language, expr string) (bool, error)
	ExternalURL *url.URL
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
	// MaxConcurrent bounds the rules evaluated at once; 0 means 8.
	MaxConcurrent int64

	clock func() (day time.Time, steady time.Duration) // nil means the system's
}

// Manager runs the rules of one tenant. Safe for concurrent use.
type Manager struct {
	o   Options
	m   *rules.Manager
	mu  sync.Mutex // one reload at a time
	run sync.Once
	wg  sync.WaitGroup

	about  atomic.Pointer[map[string]About] // by rule
	blind  *blindness
	ctx    context.Context
	cancel context.CancelFunc
}

// About tells of the rule that an alert came from.
type About struct {
	Group, File string
	// Labels are those that the rule adds; the others came from the data.
	Labels labels.Labels
}

// NotifyFunc takes the alerts of one rule that are to be sent: firing ones and,
// for a while, resolved ones. It must not block for long.
type NotifyFunc func(ctx context.Context, expr string, about About, alerts []*rules.Alert)

func ruleKey(name, expr string) string { return name + "\x00" + expr }

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
	o.Queryable = fresh{o.Queryable}
	c := newClock(o.clock, o.Logger)
	o.Query = c.guard(o.Query)
	m := &Manager{o: o, blind: newBlindness(o)}
	m.ctx, m.cancel = context.WithCancel(ctx)
	m.about.Store(&map[string]About{})
	m.m = rules.NewManager(&rules.ManagerOptions{
		NameValidationScheme: commonmodel.UTF8Validation, ExternalURL: o.ExternalURL, QueryFunc: o.Query, NotifyFunc: m.notify, Context: ctx,
		Appendable: o.Appendable, Queryable: o.Queryable, Logger: o.Logger, Registerer: o.Registerer, Parser: o.Parser,
		// An outage shorter than the tolerance does not restart "for". There is no
		// grace period: with one, Prometheus restores nothing for rules whose "for"
		// is shorter, and what was firing would resolve and fire again.
		OutageTolerance: time.Hour, ForGracePeriod: 0, ResendDelay: resendDelay,
		MaxConcurrentEvals: o.MaxConcurrent, ConcurrentEvalsEnabled: o.MaxConcurrent > 1, RestoreNewRuleGroups: true,
	})
	if o.Registerer != nil {
		o.Registerer.MustRegister(m.blind, c.stepped)
	}
	return m
}

// notify adds what is known of the rule.
func (m *Manager) notify(ctx context.Context, expr string, alerts ...*rules.Alert) {
	if len(alerts) == 0 {
		return
	}
	about := (*m.about.Load())[ruleKey(alerts[0].Labels.Get(labels.AlertName), expr)]
	m.o.Notify(ctx, expr, about, alerts)
}

// Start begins to evaluate. Call it once sources answer.
func (m *Manager) Start() {
	m.run.Do(func() {
		m.wg.Add(3)
		go func() {
			defer m.wg.Done()
			m.hold()
		}()
		go func() {
			defer m.wg.Done()
			m.m.Run()
		}()
		go func() {
			defer m.wg.Done()
			m.blind.run(m.ctx, m)
		}()
	})
}

// Stop ends after evaluations in progress.
func (m *Manager) Stop() {
	m.Start() // Stop of a manager that never ran would wait for ever
	m.cancel()
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

// Check reads rule files and reports everything that is wrong with them, the
// queries in virtual selectors included when virtual is not nil.
func Check(files []string, p parser.Parser, log *slog.Logger, virtual ...func(language, expr string) error) error {
	var errs []error
	for _, f := range files {
		groups, bad := rulefmt.ParseFile(f, false, commonmodel.UTF8Validation, p, log)
		for _, err := range bad {
			errs = append(errs, located(f, err))
		}
		if groups == nil || len(virtual) == 0 || virtual[0] == nil {
			continue
		}
		for i, g := range groups.Groups {
			for j, r := range g.Rules {
				if err := CheckVirtual(p, r.Expr, virtual[0]); err != nil {
					errs = append(errs, fmt.Errorf("rule file %s: line %d: group %q, rule %q: %w", f, exprLine(ruleNodes(f), i, j), g.Name, r.Record+r.Alert, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

var hasLine = regexp.MustCompile(`:\d+:\d+:|: \d+:\d+:|line \d+`)

// located says where in a file an error is. Prometheus says it of some.
func located(file string, err error) error {
	var e *rulefmt.Error
	if !hasLine.MatchString(err.Error()) && errors.As(err, &e) {
		for _, g := range ruleNodes(file) {
			if g.Name == e.Group && e.Rule > 0 && e.Rule <= len(g.Rules) {
				return fmt.Errorf("rule file %s: line %d: %w", file, g.Rules[e.Rule-1].Line, err)
			}
		}
	}
	return fmt.Errorf("rule file %s: %w", file, err)
}

// groupNodes is a group with the places of its rules.
type groupNodes struct {
	Name  string      `yaml:"name"`
	Rules []yaml.Node `yaml:"rules"`
}

// ruleNodes returns the groups of a file; none when it cannot be read so.
func ruleNodes(file string) []groupNodes {
	text, err := os.ReadFile(file)
	var f struct {
		Groups []groupNodes `yaml:"groups"`
	}
	if err != nil || yaml.Unmarshal(text, &f) != nil {
		return nil
	}
	return f.Groups
}

// exprLine is the line of a rule's expression; 0 when it cannot be told.
func exprLine(groups []groupNodes, group, rule int) int {
	if group >= len(groups) || rule >= len(groups[group].Rules) {
		return 0
	}
	n := &groups[group].Rules[rule]
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "expr" {
			return n.Content[i+1].Line
		}
	}
	return n.Line
}

// The labels that make a selector virtual, and the languages they speak.
var languages = map[string]string{"__logql__": "logql", "__traceql__": "traceql"}

// CheckVirtual tries the queries in an expression's virtual selectors.
func CheckVirtual(p parser.Parser, expr string, virtual func(language, expr string) error) error {
	e, err := p.ParseExpr(expr)
	if err != nil {
		return nil // reported already
	}
	var errs []error
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			for _, m := range v.LabelMatchers {
				if l := languages[m.Name]; l != "" {
					errs = append(errs, virtual(l, m.Value))
				}
			}
		}
		return nil
	})
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
	if m.o.More != nil {
		more, err := m.o.More()
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	if err := Check(files, m.o.Parser, m.o.Logger, m.o.Virtual); err != nil {
		return err
	}
	if err := m.m.Update(m.o.Interval, files, labels.EmptyLabels(), m.o.ExternalURL.String(), nil); err != nil {
		return fmt.Errorf("cannot load rules: %w", err)
	}
	about := map[string]About{}
	for _, g := range m.m.RuleGroups() {
		for _, r := range g.Rules() {
			about[ruleKey(r.Name(), r.Query().String())] = About{Group: g.Name(), File: g.File(), Labels: r.Labels()}
		}
	}
	m.about.Store(&about)
	return nil
}

// RuleGroups and AlertingRules make Manager what Prometheus's API asks of.
func (m *Manager) RuleGroups() []*rules.Group { return m.m.RuleGroups() }

// AlertingRules returns the alerting rules.
func (m *Manager) AlertingRules() []*rules.AlertingRule { return m.m.AlertingRules() }
