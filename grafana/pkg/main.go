// Command gpx_braid is the backend of the Braid data source: Grafana starts it
// and speaks its plugin protocol (gRPC) with it.
package main

import (
	"os"

	"github.com/grafana/grafana-plugin-sdk-go/backend/datasource"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"

	"braid/grafana/pkg/plugin"
)

func main() {
	if err := datasource.Manage("braid-datasource", plugin.New, datasource.ManageOpts{}); err != nil {
		log.DefaultLogger.Error("the plugin stopped", "error", err)
		os.Exit(1)
	}
}
