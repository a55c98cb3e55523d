package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"braid/pkg/alert/notify"
	"braid/pkg/block"
	"braid/pkg/tenant"
)

// The parts are asked when they are scraped: nobody has to look at /health for
// the alert on it to fire.
func TestPartsAreAskedAtEveryScrape(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := newHealth(reg)
	h.ready()
	var store block.Trouble
	h.add("log store", fromBlocks(store.Flush, store.Damage))
	scrape := func(value string) {
		t.Helper()
		require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`# HELP braid_part_healthy Whether a part works: 1 healthy, 0.5 degraded, 0 unhealthy.
# TYPE braid_part_healthy gauge
braid_part_healthy{part="log store"} `+value+"\n")))
	}
	scrape("1")
	store.Flushed("a", errors.New("no space left on device"))
	scrape("0")
	r := h.report()
	require.Equal(t, "unhealthy", r.Status)
	require.Contains(t, r.Parts["log store"].Reason, "no space left on device")
	store.Flushed("a", nil)
	scrape("1")
	store.Found(block.ErrCorrupt)
	scrape("0.5")
	require.Equal(t, "degraded", h.report().Status)
}

func TestPagingIsDegradedUntilTheReceiverTakesAPage(t *testing.T) {
	var p pages
	now := time.Unix(1e9, 0)
	require.Equal(t, "healthy", p.health(now).Status)
	out := notify.Outcome{At: now, Receiver: "oncall", Integration: "webhook[0]", Err: errors.New("503")}
	p.note(tenant.Default, out)
	got := p.health(now)
	require.Equal(t, "degraded", got.Status)
	require.Contains(t, got.Reason, "1 receivers")
	require.NotContains(t, got.Reason, "oncall", "what is one tenant's is not for everybody")
	require.Equal(t, "healthy", p.health(now.Add(2*pageMemory)).Status, "it may be configured no more")
	p.note(tenant.Default, out)
	out.Err = nil
	p.note(tenant.Default, out)
	require.Equal(t, "healthy", p.health(now).Status)
}
