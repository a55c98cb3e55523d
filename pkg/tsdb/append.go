package tsdb

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// AppendMetrics takes a request's points: see the rules of
// ingest.MetricAppender. All of them are one transaction; a point that cannot
// be taken is named in the rejections and the rest is kept.
func (s *Store) AppendMetrics(ctx context.Context, id tenant.ID, pos model.Position, metrics *model.Metrics) (model.Rejections, error) {
	if s.held(pos) {
		return model.Rejections{}, nil
	}
	t, err := s.tenant(id)
	if err != nil {
		return model.Rejections{}, err
	}
	t.pos.begin(pos)
	rej, err := t.appendMetrics(ctx, metrics)
	t.pos.end(pos, err == nil)
	return rej, err
}

// stepsPerCheck is how many points pass between looks at the context.
const stepsPerCheck = 4096

func (t *tenantDB) appendMetrics(ctx context.Context, metrics *model.Metrics) (model.Rejections, error) {
	x := newTxn(t)
	defer x.release()
	x.lock(x.findTargets(metrics), false)
	err := x.run(ctx, func() error {
		if err := x.addAll(ctx, metrics); err != nil {
			return err
		}
		x.addTargetInfo()
		return nil
	})
	x.unlock()
	if err == nil && len(x.deferred) > 0 {
		err = x.addDeferred(ctx, metrics)
	}
	if err != nil {
		return model.Rejections{}, err
	}
	t.m.samples.Add(float64(x.sampled))
	x.addExemplars()
	return x.rej, nil
}

// addExemplars hands over the exemplars of the samples that were committed. A
// failure here costs exemplars, not samples: it is counted and, as the sync
// then fails too, keeps the request's position needed.
func (x *txn) addExemplars() {
	if len(x.offers) == 0 {
		return
	}
	limit := x.t.opts.Limits(x.t.id).ExemplarsPerMinute
	over, err := x.t.exemplars.add(x.offers, x.t.opts.Now(), limit)
	x.t.m.exemplars.WithLabelValues("offered").Add(float64(len(x.offers)))
	if over > 0 {
		x.t.m.exemplars.WithLabelValues("limit").Add(float64(over))
		x.rej.Add(0, "limit exemplars_per_minute of %d reached: %d exemplars were left out, their samples were taken", limit, over)
	}
	if err != nil {
		x.t.m.exemplars.WithLabelValues("failed").Inc()
		x.t.opts.Logger.Error("cannot keep exemplars", "tenant", string(x.t.id), "err", err)
	}
}

// findTargets hashes the resources and returns the shards that rule them.
func (x *txn) findTargets(metrics *model.Metrics) (shards uint64) {
	for i := range metrics.Batches {
		r := metrics.Batches[i].Resource
		at := -1
		for j := len(x.targets) - 1; j >= 0 && j >= len(x.targets)-8; j-- {
			if x.targets[j].resource == r {
				at = j
				break
			}
		}
		if at < 0 {
			x.targets = append(x.targets, newTarget(r, &x.h))
			at = len(x.targets) - 1
		}
		x.batches = append(x.batches, at)
		shards |= 1 << x.targets[at].shard
	}
	return shards
}

func (x *txn) addAll(ctx context.Context, metrics *model.Metrics) error {
	steps := 0
	for bi := range metrics.Batches {
		b := &metrics.Batches[bi]
		tg := &x.targets[x.batches[bi]]
		scope := x.t.tr.scopeIdentity(&x.h, tg.id, b.Scope)
		for mi := range b.Metrics {
			m := &b.Metrics[mi]
			id := x.h.metricIdentity(scope, m)
			for pi := range m.Points {
				if steps++; steps%stepsPerCheck == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
				if x.addPoint(tg, b.Scope, m, id, &m.Points[pi]) {
					x.deferred = append(x.deferred, deferredPoint{bi, mi, pi})
				}
			}
		}
	}
	return ctx.Err()
}

// addDeferred appends the points of foreign targets, alone in the tenant.
func (x *txn) addDeferred(ctx context.Context, metrics *model.Metrics) error {
	x.lock(0, true)
	defer x.unlock()
	return x.run(ctx, func() error {
		x.addDeferredPoints(metrics)
		return nil
	})
}

func (x *txn) addDeferredPoints(metrics *model.Metrics) {
	for _, d := range x.deferred {
		b := &metrics.Batches[d.batch]
		tg := &x.targets[x.batches[d.batch]]
		m := &b.Metrics[d.metric]
		id := x.h.metricIdentity(x.t.tr.scopeIdentity(&x.h, tg.id, b.Scope), m)
		x.addPoint(tg, b.Scope, m, id, &m.Points[d.point])
	}
}

// addTargetInfo appends a target_info sample a resource at the time of its
// newest point, and where its points span a while, at their oldest and in steps
// between, so that a join finds one for each of them.
func (x *txn) addTargetInfo() {
	if x.t.opts.NoTargetInfo {
		return
	}
	for i := range x.targets {
		tg := &x.targets[i]
		if tg.maxTime == 0 {
			continue
		}
		if err := x.appendTargetInfo(tg); err != nil {
			x.t.opts.Logger.Debug("cannot append target_info", "tenant", string(x.t.id), "err", err)
		}
	}
}

const (
	targetInfo = "target_info"
	// targetInfoStep is half of PromQL's usual look-back.
	targetInfoStep = int64(150 * time.Second)
	maxInfoSamples = 1000
)

func (x *txn) appendTargetInfo(tg *target) error {
	ref, ls, err := x.targetInfoSeries(tg)
	if err != nil || ref == 0 && ls.IsEmpty() {
		return err
	}
	step := max(targetInfoStep, (tg.maxTime-tg.minTime)/maxInfoSamples)
	for t := tg.minTime; t < tg.maxTime; t += step {
		if ref, err = x.appendInfo(tg, ref, &ls, t); err != nil {
			return err
		}
	}
	_, err = x.appendInfo(tg, ref, &ls, tg.maxTime)
	return err
}

// appendInfo appends one sample, and builds the labels when the head has
// forgotten the reference.
func (x *txn) appendInfo(tg *target, ref storage.SeriesRef, ls *labels.Labels, t int64) (storage.SeriesRef, error) {
	got, err := x.app.Append(ref, *ls, 0, t/1e6, 1, nil, nil, storage.AOptions{})
	if errors.Is(err, promtsdb.ErrInvalidSample) && ls.IsEmpty() {
		x.t.m.staleRefs.Inc()
		if *ls, err = x.buildTargetInfo(tg); err == nil && !ls.IsEmpty() {
			got, err = x.app.Append(0, *ls, 0, t/1e6, 1, nil, nil, storage.AOptions{})
		}
	}
	if err == nil && got != ref {
		x.t.shards[tg.shard].cache.put(x.targetInfoID(tg), []uint64{uint64(got)}, 0, 0)
	}
	return got, err
}

func (x *txn) targetInfoID(tg *target) identity {
	x.h.reset()
	x.h.id(tg.id)
	x.h.text(targetInfo)
	return x.h.sum()
}

// targetInfoSeries returns the cached reference of a resource's target_info, or
// its labels; neither when there is nothing to tell.
func (x *txn) targetInfoSeries(tg *target) (storage.SeriesRef, labels.Labels, error) {
	id := x.targetInfoID(tg)
	cache := x.t.shards[tg.shard].cache
	if _, refs, hit := cache.get(id); hit {
		return storage.SeriesRef(refs[0]), labels.EmptyLabels(), nil
	}
	ls, err := x.buildTargetInfo(tg)
	if err == nil && ls.IsEmpty() {
		cache.put(id, []uint64{0}, 0, 0)
	}
	return 0, ls, err
}

func (x *txn) buildTargetInfo(tg *target) (labels.Labels, error) {
	set, ok, err := x.t.tr.targetInfoLabels(tg)
	if err != nil || !ok {
		return labels.EmptyLabels(), err
	}
	x.builder.Reset()
	x.builder.Add(labels.MetricName, targetInfo)
	for _, l := range set {
		x.builder.Add(l.Name, l.Value)
	}
	x.builder.Sort()
	return x.builder.Labels(), x.t.meta.note(targetInfo, model.MetricMeta{Type: "gauge", Help: "Target metadata"})
}
