package tsdb

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

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
	x.begin(ctx)
	err := x.addAll(ctx, metrics)
	if err == nil {
		x.addTargetInfo()
		err = x.commit()
	} else {
		x.rollback()
	}
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
	x.begin(ctx)
	for _, d := range x.deferred {
		b := &metrics.Batches[d.batch]
		tg := &x.targets[x.batches[d.batch]]
		m := &b.Metrics[d.metric]
		id := x.h.metricIdentity(x.t.tr.scopeIdentity(&x.h, tg.id, b.Scope), m)
		x.addPoint(tg, b.Scope, m, id, &m.Points[d.point])
	}
	return x.commit()
}

// addTargetInfo appends one target_info sample a resource, at the time of its
// newest point.
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

const targetInfo = "target_info"

func (x *txn) appendTargetInfo(tg *target) error {
	x.h.reset()
	x.h.id(tg.id)
	x.h.text(targetInfo)
	id := x.h.sum()
	cache := x.t.shards[tg.shard].cache
	_, refs, hit := cache.get(id)
	if hit {
		if refs[0] == 0 { // nothing to tell
			return nil
		}
		if _, err := x.app.Append(storage.SeriesRef(refs[0]), labels.EmptyLabels(), 0, tg.maxTime/1e6, 1, nil, nil, storage.AOptions{}); err == nil {
			return nil
		}
	}
	set, ok, err := x.t.tr.targetInfoLabels(tg)
	if err != nil {
		return err
	}
	if !ok {
		cache.put(id, []uint64{0}, 0, 0)
		return nil
	}
	x.builder.Reset()
	x.builder.Add(labels.MetricName, targetInfo)
	for _, l := range set {
		x.builder.Add(l.Name, l.Value)
	}
	x.builder.Sort()
	ref, err := x.app.Append(0, x.builder.Labels(), 0, tg.maxTime/1e6, 1, nil, nil, storage.AOptions{})
	if err != nil {
		return err
	}
	cache.put(id, []uint64{uint64(ref)}, 0, 0)
	return x.t.meta.note(targetInfo, model.MetricMeta{Type: "gauge", Help: "Target metadata"})
}
