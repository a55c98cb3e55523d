package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"braid/pkg/correlation"
	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
	"braid/pkg/tsdb"
)

// stores are the three on one folder.
type stores struct {
	traces  *tracestore.Store
	logs    *logstore.Store
	metrics *tsdb.Store
	finder  *correlation.Finder
	spec    *model.KeySpec
}

func openStores(dir string, spec *model.KeySpec) (*stores, error) {
	s := &stores{spec: spec}
	keys := func() *model.KeySpec { return spec }
	now := func() time.Time { return time.Unix(0, start).Add(24 * time.Hour) }
	var err error
	if s.traces, err = tracestore.Open(tracestore.Options{Dir: filepath.Join(dir, "traces"), KeySpec: keys, Manual: true, HeadMaxSpans: 1 << 20, Now: now}); err != nil {
		return nil, err
	}
	if s.logs, err = logstore.Open(logstore.Options{Dir: filepath.Join(dir, "logs"), KeySpec: keys, Maintenance: -1, HeadMaxRows: 1 << 20, HeadMaxBytes: 1 << 30, Now: now}); err != nil {
		return nil, err
	}
	if s.metrics, err = tsdb.Open(tsdb.Options{Dir: filepath.Join(dir, "metrics"), KeySpec: keys, Now: now}); err != nil {
		return nil, err
	}
	s.finder = correlation.New(correlation.Options{Metrics: s.metrics, Logs: s.logs, Traces: s.traces, KeySpec: keys})
	return s, nil
}

func (s *stores) close() error {
	if err := s.traces.Close(); err != nil {
		return err
	}
	if err := s.logs.Close(); err != nil {
		return err
	}
	return s.metrics.Close()
}

// write appends the requests from one number to another and makes a block of
// them in each store.
func (s *stores) write(ctx context.Context, g *generator, from, to int, pos *model.Position) error {
	if err := s.append(ctx, g, from, to, pos); err != nil {
		return err
	}
	return s.flush(ctx)
}

func (s *stores) flush(ctx context.Context) error {
	if err := s.traces.Flush(ctx); err != nil {
		return err
	}
	return s.logs.Flush(ctx)
}

// take appends a batch of each.
func (s *stores) take(ctx context.Context, pos model.Position, spans *model.Spans, logs *model.Logs) error {
	if _, err := s.traces.AppendSpans(ctx, tenant.Default, pos, spans); err != nil {
		return err
	}
	_, err := s.logs.AppendLogs(ctx, tenant.Default, pos, logs)
	return err
}

func (s *stores) append(ctx context.Context, g *generator, from, to int, pos *model.Position) error {
	const batch = 200
	for n := from; n < to; n += batch {
		spans, logs := g.batch(n, min(batch, to-n))
		*pos++
		if err := s.take(ctx, *pos, spans, logs); err != nil {
			return err
		}
	}
	return nil
}

// load fills the folder unless it is filled. A run that was stopped goes on
// where it was.
func load(ctx context.Context, s *settings) error {
	done := filepath.Join(s.dir, fmt.Sprintf("loaded-%d-%d", s.records, s.blocks))
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	st, err := openStores(s.dir, model.NewKeySpec(nil))
	if err != nil {
		return err
	}
	g, per := newGenerator(), s.requests()/s.blocks
	c0, began := cpu(), time.Now()
	have, err := s.loaded()
	if err != nil {
		return err
	}
	pos := model.Position(have) << 32
	for b := have; b < s.blocks; b++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := st.write(ctx, g, b*per, (b+1)*per, &pos); err != nil {
			return err
		}
	}
	if err := st.exemplars(ctx, s.blocks*per, &pos); err != nil {
		return err
	}
	if err := st.close(); err != nil {
		return err
	}
	fmt.Printf("loaded %d spans and %d log records in %d + %d blocks: %.0f CPU-s, %.0f s, peak %d MiB\n", s.blocks*per*hops, s.blocks*per*hops, s.blocks, s.blocks,
		(cpu() - c0).Seconds(), time.Since(began).Seconds(), peak()>>20)
	return os.WriteFile(done, nil, 0o600)
}

// loaded returns how many blocks both stores have already.
func (s *settings) loaded() (int, error) {
	least := s.blocks
	for _, store := range []string{"traces", "logs"} {
		names, err := blockFolders(filepath.Join(s.dir, store))
		if err != nil {
			return 0, err
		}
		least = min(least, len(names))
	}
	return least, nil
}

// exemplars leaves one of every hundredth of the last requests.
func (s *stores) exemplars(ctx context.Context, requests int, pos *model.Position) error {
	var points []model.Point
	for n := max(0, requests-200_000); n < requests; n += 100 {
		q := makeRequest(n)
		points = append(points, model.Point{Attrs: model.Attrs{str("route", routes[q.route])}, Start: start - 1e9, Time: q.at, Value: float64(q.lasts) / 1e9,
			Exemplars: []model.Exemplar{{Time: q.at, Value: float64(q.lasts) / 1e9, TraceID: q.trace}}})
	}
	*pos++
	_, err := s.metrics.AppendMetrics(ctx, tenant.Default, *pos, &model.Metrics{Batches: []model.MetricBatch{{Resource: newGenerator().resources[0][0],
		Metrics: []model.Metric{{Name: "request_seconds", Type: model.MetricGauge, Points: points}}}}})
	return err
}

func size(dir, ending string) (n int64) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || ending != "" && filepath.Base(path) != ending {
			return err
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
