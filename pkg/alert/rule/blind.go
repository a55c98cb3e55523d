package rule

import (
	"context"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
)

// blindness knows which rules look at nothing: a selector of theirs matches no
// series at all, so that they can never fire. A renamed metric or a mistyped
// label does that, and nothing else would say so.
type blindness struct {
	o    Options
	desc *prometheus.Desc

	mu   sync.Mutex
	seen map[blindRule][]string // guarded by mu; selectors that match nothing
}

type blindRule struct{ group, rule string }

const (
	// blindWindow is how far back something must have matched.
	blindWindow = time.Hour
	blindFirst  = 2 * time.Minute // after a start: data must come first
	blindEvery  = 10 * time.Minute
)

func newBlindness(o Options) *blindness {
	return &blindness{o: o, seen: map[blindRule][]string{}, desc: prometheus.NewDesc("braid_rule_matches_nothing",
		"1 for each rule with a selector that has matched nothing in the last hour: it can never fire.", []string{"rule_group", "rule"}, nil)}
}

// Describe implements prometheus.Collector.
func (b *blindness) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }

// Collect implements prometheus.Collector.
func (b *blindness) Collect(ch chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range b.seen {
		ch <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, 1, r.group, r.rule)
	}
}

func (b *blindness) run(ctx context.Context, m *Manager) {
	wait := blindFirst
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		b.look(ctx, m.m.RuleGroups(), time.Now())
		wait = blindEvery
	}
}

// look tries every selector of every rule once.
func (b *blindness) look(ctx context.Context, groups []*rules.Group, now time.Time) {
	known := map[string]bool{} // selector -> matches something
	seen := map[blindRule][]string{}
	for _, g := range groups {
		for _, r := range g.Rules() {
			for _, s := range selectors(r.Query()) {
				text := s.String()
				some, ok := known[text]
				if !ok {
					var err error
					if some, err = b.any(ctx, s, now); err != nil {
						if ctx.Err() != nil {
							return
						}
						some = true // not known to be blind
					}
					known[text] = some
				}
				if !some {
					id := blindRule{g.File() + ";" + g.Name(), r.Name()}
					seen[id] = append(seen[id], text)
				}
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = seen
}

// selectors returns what an expression looks at, less what it asks to be
// absent, and the state of alerts, which is rightly empty most of the time.
func selectors(e parser.Expr) (out []*parser.VectorSelector) {
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok || strings.HasPrefix(v.Name, "ALERTS") {
			return nil
		}
		for _, p := range path {
			if c, ok := p.(*parser.Call); ok && strings.HasPrefix(c.Func.Name, "absent") {
				return nil
			}
		}
		plain := *v // without offset and @: they say when, not what
		plain.OriginalOffset, plain.Offset, plain.Timestamp, plain.StartOrEnd = 0, 0, nil, 0
		out = append(out, &plain)
		return nil
	})
	return out
}

func (b *blindness) any(ctx context.Context, s *parser.VectorSelector, now time.Time) (bool, error) {
	for _, m := range s.LabelMatchers {
		if l := languages[m.Name]; l != "" {
			if b.o.Any == nil {
				return true, nil
			}
			return b.o.Any(ctx, l, m.Value)
		}
	}
	from, to := now.Add(-blindWindow).UnixMilli(), now.UnixMilli()
	q, err := b.o.Queryable.Querier(from, to)
	if err != nil {
		return false, err
	}
	defer func() { _ = q.Close() }()
	set := q.Select(ctx, false, &storage.SelectHints{Start: from, End: to, Limit: 1}, s.LabelMatchers...)
	some := set.Next()
	return some, set.Err()
}

// State is one rule as the API shows it.
type State struct {
	Group, File, Name, Type, Health string
	Labels                          map[string]string
	Expr, LastError                 string
	LastEvaluation                  time.Time
	EvaluationSeconds               float64
	// MatchesNothing lists the selectors that have matched nothing for an hour.
	MatchesNothing []string
}

// Failing returns how many rules there are, and how many of them could not be
// evaluated the last time. It is cheap: it may be asked at every scrape.
func (m *Manager) Failing() (failing, all int) {
	for _, g := range m.m.RuleGroups() {
		for _, r := range g.Rules() {
			if all++; r.LastError() != nil {
				failing++
			}
		}
	}
	return failing, all
}

// States returns every rule, by file, group and order of evaluation.
func (m *Manager) States() []State {
	m.blind.mu.Lock()
	seen := m.blind.seen
	m.blind.mu.Unlock()
	out := []State{}
	for _, g := range m.m.RuleGroups() {
		for _, r := range g.Rules() {
			s := State{Group: g.Name(), File: g.File(), Name: r.Name(), Type: "recording", Health: string(r.Health()), Labels: r.Labels().Map(),
				Expr: r.Query().String(), LastEvaluation: r.GetEvaluationTimestamp(), EvaluationSeconds: r.GetEvaluationDuration().Seconds(),
				MatchesNothing: seen[blindRule{g.File() + ";" + g.Name(), r.Name()}]}
			if _, ok := r.(*rules.AlertingRule); ok {
				s.Type = "alerting"
			}
			if err := r.LastError(); err != nil {
				s.LastError = err.Error()
			}
			sort.Strings(s.MatchesNothing)
			out = append(out, s)
		}
	}
	return out
}

// SeriesLabels returns the labels of an alert that came from the data.
func (a About) SeriesLabels(ls labels.Labels) map[string]string {
	out := map[string]string{}
	ls.Range(func(l labels.Label) {
		if l.Name != labels.AlertName && a.Labels.Get(l.Name) == "" {
			out[l.Name] = l.Value
		}
	})
	return out
}
