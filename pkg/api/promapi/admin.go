package promapi

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/index"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/tenant"
)

func (h *Handler) admin(id tenant.ID) apiv1.TSDBAdminStats {
	if h.opts.Admin == nil {
		return noAdmin{}
	}
	return h.opts.Admin(id)
}

// noAdmin stands where the store is elsewhere: there is nothing to administer.
type noAdmin struct{}

var errElsewhere = errors.New("the series are stored elsewhere: ask there")

func (noAdmin) CleanTombstones() error { return errElsewhere }
func (noAdmin) Delete(context.Context, int64, int64, ...*labels.Matcher) error {
	return errElsewhere
}
func (noAdmin) Snapshot(string, bool) error { return errElsewhere }
func (noAdmin) Stats(string, int) (*tsdb.Stats, error) {
	return &tsdb.Stats{IndexPostingStats: &index.PostingsStats{}}, nil
}
func (noAdmin) WALReplayStatus() (tsdb.WALReplayStatus, error) { return tsdb.WALReplayStatus{}, nil }
func (noAdmin) BlockMetas() ([]tsdb.BlockMeta, error)          { return []tsdb.BlockMeta{}, nil }

// tenantGatherer shows one tenant's metrics of the process: Prometheus's status
// page reads its own head's.
type tenantGatherer struct {
	all prometheus.Gatherer
	id  tenant.ID
}

// Gather implements prometheus.Gatherer.
func (g tenantGatherer) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.all.Gather()
	out := families[:0]
	for _, f := range families {
		var kept []*dto.Metric
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if l.GetName() == "tenant" && l.GetValue() == string(g.id) {
					kept = append(kept, m)
				}
			}
		}
		if len(kept) > 0 {
			f.Metric = kept
			out = append(out, f)
		}
	}
	return out, err
}
