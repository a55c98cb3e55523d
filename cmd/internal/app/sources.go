package app

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"braid/pkg/query"
	"braid/pkg/query/fanout"
	"braid/pkg/remote"
)

// sources are what engines ask: the local stores, or remote ones. Whoever
// holds them cannot tell which.
type sources struct {
	metrics query.MetricSource
	logs    query.LogSource
	traces  query.TraceSource
}

// openSources picks the local stores when this process has them, the querier
// for an alerter, and the ingesters for a querier.
func (a *App) openSources(context.Context) error {
	if s := a.local; s != nil {
		a.sources = &sources{metrics: s.metrics, logs: s.logs, traces: s.traces}
		return nil
	}
	cluster := a.cfg.Load().Cluster
	addresses := cluster.Ingesters
	key := "cluster.ingesters"
	if a.o.Role == Alerter {
		addresses, key = nil, "cluster.querier"
		if cluster.Querier != "" {
			addresses = []string{cluster.Querier}
		}
	}
	if len(addresses) == 0 {
		return fmt.Errorf("%s is empty: say where the data is, for example 127.0.0.1:4321", key)
	}
	var m fanout.Metrics
	var l fanout.Logs
	t := fanout.Traces{KeySpec: a.keySpec}
	for _, addr := range addresses {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return fmt.Errorf("%s: %q: %w", key, addr, err)
		}
		a.onStop("connection to "+addr, func(context.Context) error { return conn.Close() })
		a.health.add("source "+addr, connCheck(conn, addr))
		c := remote.NewClient(conn)
		m.Parts = append(m.Parts, fanout.Part[query.MetricSource]{Name: addr, Source: c})
		l.Parts = append(l.Parts, fanout.Part[query.LogSource]{Name: addr, Source: c})
		t.Parts = append(t.Parts, fanout.Part[query.TraceSource]{Name: addr, Source: c})
	}
	a.sources = &sources{metrics: &m, logs: &l, traces: &t}
	return nil
}

func connCheck(conn *grpc.ClientConn, addr string) check {
	conn.Connect()
	return func() partHealth {
		state := conn.GetState().String()
		if state == "TRANSIENT_FAILURE" || state == "SHUTDOWN" {
			return partHealth{Status: "unhealthy", Reason: "connection to " + addr + " is in state " + state,
				WayOut: "is the process at that address running? answers are partial until it is"}
		}
		return partHealth{Status: "healthy"}
	}
}
