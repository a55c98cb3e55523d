// Package conformance runs the contract's suite against every source: the
// stores in their several shapes, and the same behind gRPC and behind fan-out.
package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/fanout"
	"braid/pkg/query/sourcetest"
	"braid/pkg/remote"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
)

var ctx = context.Background()

// over serves sources on a pipe and returns a client.
func over(t *testing.T, src remote.Sources) *remote.Client {
	t.Helper()
	pipe := bufconn.Listen(1 << 20)
	srv := grpc.NewServer(grpc.MaxSendMsgSize(remote.MaxMessage))
	remote.Register(srv, src)
	go func() { _ = srv.Serve(pipe) }()
	t.Cleanup(srv.Stop)
	conn, err := grpc.NewClient("passthrough:x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return remote.NewClient(conn)
}

// logShelf is a log store that is flushed and reopened at random.
type logShelf struct {
	t     *testing.T
	dir   string
	store *logstore.Store
}

func (s *logShelf) open() {
	store, err := logstore.Open(logstore.Options{Dir: s.dir, Maintenance: -1})
	require.NoError(s.t, err)
	s.store = store
}

func (s *logShelf) append(id tenant.ID, pos model.Position, logs *model.Logs) error {
	rej, err := s.store.AppendLogs(ctx, id, pos, logs)
	if err == nil && rej.Count > 0 {
		err = fmt.Errorf("rejected %d: %s", rej.Count, rej.Message())
	}
	return err
}

func (s *logShelf) reshape(r *rand.Rand) *logstore.Store {
	switch r.IntN(3) {
	case 0:
		require.NoError(s.t, s.store.Flush(ctx))
	case 1:
		require.NoError(s.t, s.store.Close())
		s.open()
	}
	return s.store
}

func newLogShelf(t *testing.T) *logShelf {
	s := &logShelf{t: t, dir: t.TempDir()}
	s.open()
	t.Cleanup(func() { require.NoError(t, s.store.Close()) })
	return s
}

func TestLogStore(t *testing.T) {
	for seed := range uint64(3) {
		sourcetest.RunLogs(t, seed, func(t *testing.T) sourcetest.LogSubject {
			s := newLogShelf(t)
			return sourcetest.LogSubject{Append: s.append, Reshape: func(r *rand.Rand) query.LogSource { return s.reshape(r) }}
		})
	}
}

func TestLogStoreOverGRPC(t *testing.T) {
	for seed := range uint64(1) {
		sourcetest.RunLogs(t, 100+seed, func(t *testing.T) sourcetest.LogSubject {
			s := newLogShelf(t)
			return sourcetest.LogSubject{Append: s.append, Reshape: func(r *rand.Rand) query.LogSource {
				return over(t, remote.Sources{Logs: s.reshape(r)})
			}}
		})
	}
}

func TestLogStoresBehindFanout(t *testing.T) {
	for seed := range uint64(2) {
		sourcetest.RunLogs(t, 200+seed, func(t *testing.T) sourcetest.LogSubject {
			// Arrival among equal times is kept within a part only: the second
			// part takes what comes after the first was filled.
			a, b := newLogShelf(t), newLogShelf(t)
			return sourcetest.LogSubject{
				Append: func(id tenant.ID, pos model.Position, logs *model.Logs) error {
					if pos <= 10 {
						return a.append(id, pos, logs)
					}
					return b.append(id, pos, logs)
				},
				Reshape: func(r *rand.Rand) query.LogSource {
					return &fanout.Logs{Parts: []fanout.Part[query.LogSource]{{Name: "a", Source: a.reshape(r)}, {Name: "b", Source: b.reshape(r)}}}
				}}
		})
	}
}

type traceShelf struct {
	t     *testing.T
	dir   string
	store *tracestore.Store
}

func (s *traceShelf) open() {
	store, err := tracestore.Open(tracestore.Options{Dir: s.dir, Manual: true})
	require.NoError(s.t, err)
	s.store = store
}

func (s *traceShelf) append(id tenant.ID, pos model.Position, spans *model.Spans) error {
	rej, err := s.store.AppendSpans(ctx, id, pos, spans)
	if err == nil && rej.Count > 0 {
		err = fmt.Errorf("rejected %d: %s", rej.Count, rej.Message())
	}
	return err
}

func (s *traceShelf) reshape(r *rand.Rand) *tracestore.Store {
	switch r.IntN(3) {
	case 0:
		require.NoError(s.t, s.store.Flush(ctx))
	case 1:
		require.NoError(s.t, s.store.Close())
		s.open()
	}
	return s.store
}

func newTraceShelf(t *testing.T) *traceShelf {
	s := &traceShelf{t: t, dir: t.TempDir()}
	s.open()
	t.Cleanup(func() { require.NoError(t, s.store.Close()) })
	return s
}

func TestTraceStore(t *testing.T) {
	for seed := range uint64(3) {
		sourcetest.RunTraces(t, seed, func(t *testing.T) sourcetest.TraceSubject {
			s := newTraceShelf(t)
			return sourcetest.TraceSubject{Append: s.append, Reshape: func(r *rand.Rand) query.TraceSource { return s.reshape(r) }}
		})
	}
}

func TestTraceStoreOverGRPC(t *testing.T) {
	for seed := range uint64(1) {
		sourcetest.RunTraces(t, 100+seed, func(t *testing.T) sourcetest.TraceSubject {
			s := newTraceShelf(t)
			return sourcetest.TraceSubject{Append: s.append, Reshape: func(r *rand.Rand) query.TraceSource {
				return over(t, remote.Sources{Traces: s.reshape(r)})
			}}
		})
	}
}

// TestTraceStoresBehindFanout splits every trace over two stores.
func TestTraceStoresBehindFanout(t *testing.T) {
	for seed := range uint64(2) {
		runSplitTraces(t, 200+seed, false, func(s query.TraceSource) query.TraceSource { return s })
	}
}

// TestOlderTraceStoreBehindFanout has a part that keeps no service graph and
// makes no outlines, as programs did before there were any: the graph is counted
// from the part's spans, and outlines are refused.
func TestOlderTraceStoreBehindFanout(t *testing.T) {
	runSplitTraces(t, 300, true, func(s query.TraceSource) query.TraceSource {
		return over(t, remote.Sources{Traces: struct{ query.TraceSource }{s}})
	})
}

// runSplitTraces splits every trace over two stores; second wraps one of them.
func runSplitTraces(t *testing.T, seed uint64, older bool, second func(query.TraceSource) query.TraceSource) {
	sourcetest.RunTraces(t, seed, func(t *testing.T) sourcetest.TraceSubject {
		a, b := newTraceShelf(t), newTraceShelf(t)
		spec := model.NewKeySpec(nil)
		return sourcetest.TraceSubject{
			NoOutlines: older,
			Append: func(id tenant.ID, pos model.Position, spans *model.Spans) error {
				if pos%2 == 0 {
					return a.append(id, pos, spans)
				}
				return b.append(id, pos, spans)
			},
			Reshape: func(r *rand.Rand) query.TraceSource {
				return &fanout.Traces{KeySpec: func() *model.KeySpec { return spec },
					Parts: []fanout.Part[query.TraceSource]{{Name: "a", Source: a.reshape(r)}, {Name: "b", Source: second(b.reshape(r))}}}
			}}
	})
}
