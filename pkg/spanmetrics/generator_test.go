package spanmetrics

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const acme = tenant.ID("acme")

// noStore is a store that has of every trace what was observed last.
type noStore struct{ counts map[model.TraceID]int }

func (s *noStore) SpanCounts(_ tenant.ID, ids []model.TraceID) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = s.counts[id]
	}
	return out
}

func (s *noStore) TraceParts(context.Context, tenant.ID, model.TraceID) ([]model.SpanRow, [][]model.SpanRow, error) {
	return nil, nil, nil
}

type fixture struct {
	t     *testing.T
	fs    *vfs.Crashable
	now   time.Time
	o     Options
	g     *Generator
	store *noStore
	out   []string
	likes map[string]uint64
	heads uint64
}

func newFixture(t *testing.T, o Options) *fixture {
	f := &fixture{t: t, fs: vfs.NewCrashable(), now: time.Unix(1_700_000_000, 0), o: o, store: &noStore{map[model.TraceID]int{}}}
	f.open()
	return f
}

func (f *fixture) open() {
	o := f.o
	o.Dir, o.FS, o.Manual, o.Now, o.Write = "/red", f.fs, true, func() time.Time { return f.now }, f.write
	g, err := New(o)
	require.NoError(f.t, err)
	g.Attach(f.store)
	f.g = g
}

func (f *fixture) write(_ context.Context, _ tenant.ID, samples []Sample) error {
	for _, s := range samples {
		var ls []string
		for _, l := range s.Labels[1:] {
			ls = append(ls, fmt.Sprintf("%s=%q", l.Name, l.Value))
		}
		line := fmt.Sprintf("%s{%s} %g @%d", s.Labels[0].Value, strings.Join(ls, ","), s.Value, s.Time/1e9-1_700_000_000)
		for _, e := range s.Exemplars {
			line += fmt.Sprintf(" # %s %g", e.SpanID, e.Value)
		}
		f.out = append(f.out, line)
	}
	return nil
}

func (f *fixture) observe(service string, spans ...model.Span) {
	r := &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String(service)}, {Key: "zone", Value: model.String("z1")}}}
	take := f.g.Observe(acme, 0)
	for i := range spans {
		f.store.counts[spans[i].TraceID]++
		take(r, &spans[i], f.like(service, &spans[i]))
	}
	take(nil, nil, 0)
}

// like numbers spans as a store does whose heads are small.
func (f *fixture) like(service string, s *model.Span) uint64 {
	k := fmt.Sprint(service, "|", s.Name, s.Kind, s.Status)
	if len(f.likes) == 4 {
		clear(f.likes)
	}
	if f.likes[k] == 0 {
		if len(f.likes) == 0 {
			f.likes = map[string]uint64{}
			f.heads++
		}
		f.likes[k] = f.heads<<32 | uint64(len(f.likes)+1)
	}
	return f.likes[k]
}

func (f *fixture) tick(d time.Duration) {
	f.now = f.now.Add(d)
	require.NoError(f.t, f.g.Tick(context.Background()))
}

func mk(trace, id, parent byte, kind model.SpanKind, name string, d time.Duration) model.Span {
	s := model.Span{TraceID: model.TraceID{trace}, SpanID: model.SpanID{id}, Kind: kind, Name: name, Start: 1_600_000_000e9, End: 1_600_000_000e9 + int64(d)}
	if parent != 0 {
		s.ParentID = model.SpanID{parent}
	}
	return s
}

// TestNamesAndLabels holds every series of one call to its text.
func TestNamesAndLabels(t *testing.T) {
	f := newFixture(t, Options{Dimensions: []string{"zone", "http.route"}, LatencyBuckets: []float64{0.01, 0.1}, GraphBuckets: []float64{1}, Labels: []model.Label{{Name: "ingester", Value: "a"}}})
	f.observe("web", mk(1, 1, 0, model.SpanKindClient, "call", 50*time.Millisecond))
	failed := mk(1, 2, 1, model.SpanKindServer, "GET /", 20*time.Millisecond)
	failed.Status = model.StatusError
	failed.Attrs = model.Attrs{{Key: "http.route", Value: model.String("/")}}
	f.observe("cart", failed)
	f.tick(time.Second)
	require.Empty(t, f.out, "the trace is not quiet yet")
	f.tick(20 * time.Second)
	f.out = f.out[:0]
	f.tick(15 * time.Second)
	want := `traces_spanmetrics_calls_total{ingester="a",service="web",span_kind="SPAN_KIND_CLIENT",span_name="call",status_code="STATUS_CODE_UNSET",zone="z1"} 1 @36
traces_spanmetrics_latency_bucket{ingester="a",le="0.01",service="web",span_kind="SPAN_KIND_CLIENT",span_name="call",status_code="STATUS_CODE_UNSET",zone="z1"} 0 @36
traces_spanmetrics_latency_bucket{ingester="a",le="0.1",service="web",span_kind="SPAN_KIND_CLIENT",span_name="call",status_code="STATUS_CODE_UNSET",zone="z1"} 1 @36
traces_spanmetrics_latency_bucket{ingester="a",le="+Inf",service="web",span_kind="SPAN_KIND_CLIENT",span_name="call",status_code="STATUS_CODE_UNSET",zone="z1"} 1 @36
traces_spanmetrics_latency_count{ingester="a",service="web",span_kind="SPAN_KIND_CLIENT",span_name="call",status_code="STATUS_CODE_UNSET",zone="z1"} 1 @36
traces_spanmetrics_latency_sum{ingester="a",service="web",span_kind="SPAN_KIND_CLIENT",span_name="call",status_code="STATUS_CODE_UNSET",zone="z1"} 0.05 @36
traces_spanmetrics_calls_total{http_route="/",ingester="a",service="cart",span_kind="SPAN_KIND_SERVER",span_name="GET /",status_code="STATUS_CODE_ERROR",zone="z1"} 1 @36
traces_service_graph_request_total{client="web",connection_type="",ingester="a",server="cart"} 1 @36
traces_service_graph_request_failed_total{client="web",connection_type="",ingester="a",server="cart"} 1 @36
traces_service_graph_request_client_seconds_bucket{client="web",connection_type="",ingester="a",le="1",server="cart"} 1 @36
traces_service_graph_request_client_seconds_sum{client="web",connection_type="",ingester="a",server="cart"} 0.05 @36
traces_service_graph_request_server_seconds_sum{client="web",connection_type="",ingester="a",server="cart"} 0.02 @36`
	for _, line := range strings.Split(want, "\n") {
		require.Contains(t, f.out, line)
	}
}

// TestFirstSampleIsZeroAndHasExemplars looks at the first round.
func TestFirstSampleIsZeroAndHasExemplars(t *testing.T) {
	f := newFixture(t, Options{LatencyBuckets: []float64{0.01}})
	f.tick(time.Second)
	f.observe("web", mk(1, 1, 0, model.SpanKindServer, "a", 50*time.Millisecond), mk(2, 2, 0, model.SpanKindServer, "a", 5*time.Millisecond))
	f.tick(20 * time.Second)
	all := strings.Join(f.out, "\n")
	base := `service="web",span_kind="SPAN_KIND_SERVER",span_name="a",status_code="STATUS_CODE_UNSET"`
	require.Contains(t, all, "traces_spanmetrics_calls_total{"+base+"} 0 @6\ntraces_spanmetrics_calls_total{"+base+"} 2 @21")
	require.Contains(t, all, `le="+Inf",`+base+`} 2 @21 # 0100000000000000 0.05`)
}

// TestTooManyOperations counts what has no series of its own under (other).
func TestTooManyOperations(t *testing.T) {
	f := newFixture(t, Options{MaxOperations: 3, LatencyBuckets: []float64{1}, GraphBuckets: []float64{1}})
	const n = 40
	for i := range byte(n) {
		f.observe(fmt.Sprintf("s%d", i), mk(i+1, 1, 0, model.SpanKindServer, fmt.Sprintf("op %d", i), time.Millisecond))
	}
	f.tick(20 * time.Second)
	f.out = f.out[:0]
	f.tick(15 * time.Second)
	total, series := 0, 0
	for _, line := range f.out {
		var v int
		if _, rest, ok := strings.Cut(line, "} "); ok && strings.HasPrefix(line, "traces_spanmetrics_calls_total") {
			_, err := fmt.Sscan(rest, &v)
			require.NoError(t, err)
			total += v
			series++
		}
	}
	require.Equal(t, n, total)
	require.LessOrEqual(t, series, 2*3+1)
	require.Contains(t, strings.Join(f.out, "\n"), `service="(other)",span_kind="SPAN_KIND_SERVER",span_name="(other)"`)
}

// TestStateOutlivesARestart counts on, and remembers what waits.
func TestStateOutlivesARestart(t *testing.T) {
	f := newFixture(t, Options{})
	f.observe("web", mk(1, 1, 0, model.SpanKindServer, "a", time.Millisecond))
	f.tick(20 * time.Second)
	f.observe("web", mk(2, 1, 0, model.SpanKindServer, "a", time.Millisecond))
	require.NoError(t, f.g.Close(context.Background()))
	f.open()
	f.tick(20 * time.Second)
	require.Contains(t, f.out[len(f.out)-len(f.out)/4:], `traces_spanmetrics_latency_count{service="web",span_kind="SPAN_KIND_SERVER",span_name="a",status_code="STATUS_CODE_UNSET"} 2 @40`)
}

// TestDamagedStateIsSetAside starts with any damage.
func TestDamagedStateIsSetAside(t *testing.T) {
	f := newFixture(t, Options{})
	f.observe("web", mk(1, 1, 0, model.SpanKindServer, "a", time.Millisecond))
	f.tick(20 * time.Second)
	path := filepath.Join("/red", stateFile)
	good, err := f.fs.ReadFile(path)
	require.NoError(t, err)
	for i := 0; i < len(good); i += 7 {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x40
		require.NoError(t, replaceFile(f.fs, "/red", stateFile, [][]byte{bad}))
		f.open()
		_, err := f.fs.Stat(path + ".damaged")
		require.NoError(t, err, "byte %d", i)
		require.Empty(t, f.g.tenants)
	}
}

func someState() *state {
	return &state{Counted: "1-7", LatencyBuckets: []float64{1, 2}, Tenants: []tenantState{
		{Tenant: "a", Classes: []class{{Service: "web", Name: "op"}}, Seen: []int64{3}, Texts: []string{"", "web"}, Waiting: []byte("waits")},
		{Tenant: "b"},
		{Tenant: "c", Waiting: []byte{1, 2, 3}},
	}}
}

// formerState writes a state as version 2 did.
func formerState(t require.TestingT, st *state) []byte {
	var b bytes.Buffer
	require.NoError(t, gob.NewEncoder(&b).Encode(st))
	head := binary.BigEndian.AppendUint32([]byte(formerMagic), crc32.Checksum(b.Bytes(), castagnoli))
	return append(head, b.Bytes()...)
}

// TestStatesComeBack of this version and of the one before.
func TestStatesComeBack(t *testing.T) {
	pieces, err := encodeState(someState())
	require.NoError(t, err)
	for _, raw := range [][]byte{bytes.Join(pieces, nil), formerState(t, someState())} {
		got, err := decodeState(raw)
		require.NoError(t, err)
		want := someState()
		for i := range want.Tenants {
			require.Equal(t, string(want.Tenants[i].Waiting), string(got.Tenants[i].Waiting))
			want.Tenants[i].Waiting, got.Tenants[i].Waiting = nil, nil
		}
		require.Equal(t, want, got)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(stateMagic + "\x00\x00\x00\x00"))
	pieces, err := encodeState(someState())
	require.NoError(f, err)
	f.Add(bytes.Join(pieces, nil))
	f.Add(formerState(f, someState()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		st, err := decodeState(raw)
		if err != nil {
			return
		}
		o, err := Options{Dir: "/x", Write: func(context.Context, tenant.ID, []Sample) error { return nil }}.withDefaults()
		require.NoError(t, err)
		g := &Generator{opts: o, tenants: map[tenant.ID]*waiting{}, tallies: map[tenant.ID]*tally{}}
		_ = g.adopt(st)
	})
}
