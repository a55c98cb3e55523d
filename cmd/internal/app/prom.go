package app

import (
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/tenant"
)

// promAdmin gives the Prometheus API a tenant's statistics, deletion and
// snapshots.
func (a *App) promAdmin(t tenant.ID) apiv1.TSDBAdminStats { return a.local.metrics.Admin(t) }
