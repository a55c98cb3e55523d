package rule

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
)

// resendDelay is how often what fires is sent; an alert that is not sent again
// for four times as long counts as over.
const resendDelay = time.Minute

// hold goes on sending what fires of rules that cannot be evaluated: nothing
// says that it is over. Prometheus sends only after an evaluation that went
// well, and an Alertmanager would end it some minutes later.
func (m *Manager) hold() {
	tick := time.NewTicker(resendDelay)
	defer tick.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
			m.holdOn(time.Now())
		}
	}
}

func (m *Manager) holdOn(now time.Time) {
	for _, g := range m.m.RuleGroups() {
		delay := max(g.Interval(), resendDelay)
		for _, r := range g.Rules() {
			ar, ok := r.(*rules.AlertingRule)
			// Failed, or hanging in this rule or in one before it. What was never
			// evaluated has its alerts from nowhere.
			if !ok || ar.GetEvaluationTimestamp().IsZero() || ar.Health() != rules.HealthBad && now.Sub(ar.GetEvaluationTimestamp()) < 2*delay {
				continue
			}
			var list []*rules.Alert
			for _, a := range ar.ActiveAlerts() {
				if a.State == rules.StateFiring {
					a.ValidUntil, a.LastSentAt = now.Add(4*delay), now
					list = append(list, a)
				}
			}
			m.notify(m.ctx, ar.Query().String(), list...)
		}
	}
}

// Bounds of what counts as a step of the time of day, and how long rules wait
// after one.
const (
	clockStep  = time.Minute
	clockGrace = 5 * time.Minute // as long as PromQL looks back for a sample
)

// clock notices when the time of day is set. After a step there is no data of
// the new time yet, or that of a time which is past: a rule that was evaluated
// now would end what fires, or fire anew what is over. It is not evaluated for a
// while: that is an error, which ends nothing.
type clock struct {
	read    func() (day time.Time, steady time.Duration)
	log     *slog.Logger
	stepped prometheus.Counter

	mu    sync.Mutex // guards below
	drift time.Duration
	known bool
	by    time.Duration
	until time.Duration // by the steady clock
}

// systemClock reads the time of day and the clock that never jumps.
func systemClock() func() (time.Time, time.Duration) {
	base := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(base)
	}
}

func newClock(read func() (time.Time, time.Duration), log *slog.Logger) *clock {
	if read == nil {
		read = systemClock()
	}
	return &clock{read: read, log: log, stepped: prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_alert_clock_steps_total",
		Help: "Times that the time of day was set by more than a minute while rules ran."})}
}

// check returns an error for a while after a step.
func (c *clock) check() error {
	day, steady := c.read()
	drift := time.Duration(day.UnixNano()) - steady
	c.mu.Lock()
	defer c.mu.Unlock()
	by := drift - c.drift
	if c.known && by.Abs() > clockStep {
		c.by, c.until = by, steady+clockGrace
		c.stepped.Inc()
		c.log.Warn("the clock was set; rules wait for data of the new time", "by", by, "wait", clockGrace)
	}
	c.drift, c.known = drift, true // small corrections add up to nothing
	if steady < c.until {
		return fmt.Errorf("the clock was set by %s: rules wait %s for data of the new time, what fires goes on", c.by.Round(time.Second), (c.until - steady).Round(time.Second))
	}
	return nil
}

func (c *clock) guard(q rules.QueryFunc) rules.QueryFunc {
	return func(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
		if err := c.check(); err != nil {
			return nil, err
		}
		return q(ctx, expr, at)
	}
}
