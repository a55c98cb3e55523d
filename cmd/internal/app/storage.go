package app

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/otlptranslator"

	"braid/cmd/internal/config"
	"braid/pkg/ingest"
	"braid/pkg/ingestlog"
	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/spanmetrics"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
	"braid/pkg/tsdb"
)

// stores are what an ingester holds.
type stores struct {
	metrics  *tsdb.Store
	logs     *logstore.Store
	traces   *tracestore.Store
	log      *ingestlog.Log
	pipeline *ingest.Pipeline
	red      *spanmetrics.Generator // nil when span metrics are off
}

// openStorage opens the stores and the ingest log, and replays what the stores
// had not yet made durable.
func (a *App) openStorage(ctx context.Context) error {
	s := &stores{}
	a.local = s
	for _, open := range []func(*stores, *config.Config) error{a.openMetrics, a.openLogs, a.openSpanMetrics, a.openTraces, a.openIngestLog} {
		if err := open(s, a.cfg.Load()); err != nil {
			return err
		}
	}
	pipeline, err := ingest.New(ingest.Options{Log: logAdapter{s.log}, Metrics: s.metrics, Logs: s.logs, Spans: s.spanAppender(),
		Limits: a.ingestLimits, MaxRequestBytes: int(a.cfg.Load().OTLP.MaxBody), MemoryBytes: int64(a.cfg.Load().Ingest.MaxInFlight),
		KeepJSONText: !a.cfg.Load().OTLP.ParseBody, KeepSeverity: !a.cfg.Load().OTLP.Severity, ParseLogfmt: a.cfg.Load().OTLP.Logfmt, Logger: a.log.With("part", "ingest"), Registerer: a.reg})
	if err != nil {
		return err
	}
	s.pipeline = pipeline
	a.registerProtocols(s)
	a.onStop("ingest", pipeline.Close)
	started := time.Now()
	if err := pipeline.Replay(ctx); err != nil {
		return fmt.Errorf("cannot replay the ingest log: %w", err)
	}
	s.metrics.EndReplay()
	if s.red != nil {
		s.red.Start()
	}
	a.log.Info("ingest log replayed", "took", time.Since(started).Round(time.Millisecond))
	return nil
}

func (a *App) dir(name string) string { return filepath.Join(a.cfg.Load().DataDir, name) }

func (a *App) openMetrics(s *stores, c *config.Config) (err error) {
	s.metrics, err = tsdb.Open(tsdb.Options{Dir: a.dir("metrics"), Logger: a.log.With("part", "metrics"), Registerer: a.reg,
		Retention: c.Metrics.Retention.Std(), RetentionBytes: int64(c.Metrics.RetentionSize), OutOfOrderWindow: c.Metrics.OutOfOrderWindow.Std(),
		Strategy: otlptranslator.TranslationStrategyOption(c.Metrics.Names), ResourceLabels: c.Metrics.ResourceLabels, ScopeLabels: c.Metrics.ScopeLabels, NoTargetInfo: !c.Metrics.TargetInfo,
		KeySpec: a.keySpec, Limits: func(t tenant.ID) tsdb.Limits {
			l := a.cfg.Load().LimitsOf(string(t))
			return tsdb.Limits{ActiveSeries: l.ActiveSeries, NewSeriesPerMinute: l.NewSeriesPerMinute, LabelsPerSeries: l.LabelsPerSeries,
				LabelNameLength: l.LabelNameLength, LabelValueLength: l.LabelLength, ExemplarsPerMinute: l.ExemplarsPerMinute,
				Retention: l.MetricsRetention.Std(), RetentionBytes: int64(l.MetricsSize)}
		}})
	if err != nil {
		return fmt.Errorf("cannot open the metric store: %w", err)
	}
	a.onStop("metric store", func(context.Context) error { return s.metrics.Close() })
	a.health.add("metric store", fromError(s.metrics.Health, "see the program's log; docs/runbooks tells what to do"))
	return nil
}

func (a *App) openLogs(s *stores, c *config.Config) (err error) {
	s.logs, err = logstore.Open(logstore.Options{Dir: a.dir("logs"), Logger: a.log.With("part", "logs"), Registerer: a.reg, KeySpec: a.keySpec,
		Retention: c.Logs.Retention.Std(), RetentionBytes: int64(c.Logs.RetentionSize), HeadMaxAge: c.Logs.FlushAge.Std(),
		Limits: func(t tenant.ID) logstore.Limits {
			l := a.cfg.Load().LimitsOf(string(t))
			return logstore.Limits{MaxRecordBytes: bound(int(l.LogRecordSize)), MaxFields: bound(l.MaxAttributes), BytesPerSecond: float64(l.LogBytesPerSecond),
				Retention: l.LogsRetention.Std(), RetentionBytes: int64(l.LogsSize)}
		}})
	if err != nil {
		return fmt.Errorf("cannot open the log store: %w", err)
	}
	a.onStop("log store", func(context.Context) error { return s.logs.Close() })
	a.health.add("log store", fromBlocks(s.logs.Health, s.logs.Damage))
	return nil
}

func (a *App) openTraces(s *stores, c *config.Config) (err error) {
	o := tracestore.Options{Dir: a.dir("traces"), Logger: a.log.With("part", "traces"), Registerer: a.reg, KeySpec: a.keySpec,
		Retention: c.Traces.Retention.Std(), RetentionBytes: int64(c.Traces.RetentionSize), HeadMaxAge: c.Traces.FlushAge.Std(),
		Limits: func(t tenant.ID) tracestore.Limits {
			l := a.cfg.Load().LimitsOf(string(t))
			return tracestore.Limits{MaxSpanBytes: bound(int(l.SpanSize)), Retention: l.TracesRetention.Std(), RetentionBytes: int64(l.TracesSize)}
		}}
	if s.red != nil {
		o.Observe, o.BeforeMerge = s.red.Observe, s.red.BeforeMerge
	}
	if s.traces, err = tracestore.Open(o); err != nil {
		return fmt.Errorf("cannot open the trace store: %w", err)
	}
	a.onStop("trace store", func(context.Context) error { return s.traces.Close() })
	a.health.add("trace store", fromBlocks(s.traces.Health, s.traces.Damage))
	if s.red != nil {
		s.red.Attach(s.traces)
		a.onStop("span metrics", s.red.Close)
	}
	return nil
}

func (a *App) openIngestLog(s *stores, c *config.Config) (err error) {
	s.log, err = ingestlog.Open(ingestlog.Options{Dir: a.dir("ingestlog"), SegmentBytes: int64(c.Ingest.SegmentSize), SyncDelay: c.Ingest.SyncDelay.Std(),
		NoSync: c.Ingest.NoSync, MaxBytes: int64(c.Ingest.MaxLogSize), Logger: a.log.With("part", "ingest log"), Registerer: a.reg})
	if err != nil {
		return fmt.Errorf("cannot open the ingest log: %w", err)
	}
	a.health.add("ingest log", fromError(func() error { return s.log.Stats().ReadOnly },
		"free disk space, or look at the disk: docs/operations.md; writing resumes by itself"))
	a.onStop("ingest log", func(context.Context) error { return s.log.Close() })
	return nil
}

func (a *App) ingestLimits(t tenant.ID) ingest.Limits {
	l := a.cfg.Load().LimitsOf(string(t))
	return ingest.Limits{BytesPerSecond: float64(l.BytesPerSecond), MaxFuture: bound(l.MaxFuture.Std()), MaxAge: l.MaxAge.Std(),
		MaxAttributes: bound(l.MaxAttributes), MaxValueBytes: bound(int(l.MaxAttributeSize))}
}

// bound makes a configured limit, of which 0 is none, one for a part of which
// 0 is the part's own default.
func bound[T int | time.Duration](limit T) T {
	if limit == 0 {
		return 1 << 62
	}
	return limit
}

// logAdapter makes the ingest log what the pipeline asks for.
type logAdapter struct{ log *ingestlog.Log }

func (l logAdapter) Append(ctx context.Context, r *ingest.Record) (ingest.Ticket, error) {
	t, err := l.log.Append(ctx, &ingestlog.Record{Tenant: r.Tenant, Signal: uint8(r.Signal), Encoding: r.Encoding,
		Received: time.Unix(0, r.Received), Payload: r.Body})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (l logAdapter) Replay(ctx context.Context, from model.Position, fn func(model.Position, *ingest.Record) error) error {
	_, err := l.log.Replay(ctx, from, func(pos model.Position, r *ingestlog.Record) error {
		return fn(pos, &ingest.Record{Tenant: r.Tenant, Signal: ingest.Signal(r.Signal), Encoding: r.Encoding, Received: r.Received.UnixNano(), Body: r.Payload})
	})
	return err
}

func (l logAdapter) TrimBefore(pos model.Position) error { return l.log.TrimBefore(pos) }
