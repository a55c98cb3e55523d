package app

import (
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/api/promapi"
	"braid/pkg/tenant"
)

// promAdmin gives the Prometheus API a tenant's statistics, deletion and
// snapshots.
func (a *App) promAdmin(t tenant.ID) apiv1.TSDBAdminStats { return a.local.metrics.Admin(t) }

// queryBudget is what one query of a tenant may take.
func (a *App) queryBudget(t tenant.ID) promapi.Budget {
	l := a.cfg.Load().LimitsOf(string(t))
	return promapi.Budget{Samples: int64(l.QuerySamples), Bytes: int64(l.QueryBytes), Timeout: l.QueryTimeout.Std()}
}
