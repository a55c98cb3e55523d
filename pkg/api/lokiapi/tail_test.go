package lokiapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/internal/testkit"
	"braid/pkg/api/lokiapi"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTail hands over what the test gives it.
type fakeTail struct {
	rows   chan []model.LogRow
	lost   int64
	opened chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (f *fakeTail) Rows() <-chan []model.LogRow { return f.rows }
func (f *fakeTail) Dropped() int64              { n := f.lost; f.lost = 0; return n }
func (f *fakeTail) Close()                      { f.once.Do(func() { close(f.closed) }) }

func tailServer(t *testing.T, mem *testkit.MemLog) (*fakeTail, *httptest.Server) {
	f := &fakeTail{rows: make(chan []model.LogRow, 10), opened: make(chan struct{}), closed: make(chan struct{})}
	srv := httptest.NewServer(lokiapi.New(lokiapi.Options{
		Engine: logql.NewEngine(logql.Options{Source: mem}),
		Tail:   func(tenant.ID) lokiapi.TailReader { close(f.opened); return f },
		Now:    func() time.Time { return time.Unix(base+60, 0) },
	}))
	t.Cleanup(srv.Close)
	return f, srv
}

func dial(t *testing.T, srv *httptest.Server, query string) *websocket.Conn {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http")+"/loki/api/v1/tail?"+query, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func read(t *testing.T, conn *websocket.Conn) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, b, err := conn.Read(ctx)
	require.NoError(t, err)
	return string(b)
}

func TestTailSendsStoredThenLive(t *testing.T) {
	mem := sample()
	f, srv := tailServer(t, mem)
	web := &model.Resource{Attrs: str("service.name", "web")}
	conn := dial(t, srv, `query={service_name="web"}+|%3D+"warn"&start=1700000000&limit=10`)
	const stored = `{"streams":[{"stream":{"detected_level":"warn","service_name":"web","severity_number":"13"},"values":[["1700000005000000000","level=warn size=5KB ok=true"]]}]}`
	require.Equal(t, stored, read(t, conn))

	f.lost = 2
	again := model.LogRow{Resource: web, LogRecord: model.LogRecord{Time: at(5), Body: model.String("level=warn size=5KB ok=true")}}
	fresh := model.LogRow{Resource: web, LogRecord: model.LogRecord{Time: at(6), Body: model.String("warn again")}}
	other := model.LogRow{Resource: web, LogRecord: model.LogRecord{Time: at(6), Body: model.String("fine")}}
	f.rows <- []model.LogRow{again, fresh, other}
	got := read(t, conn)
	if !strings.Contains(got, "warn again") { // what was lost may go first
		require.Contains(t, got, `"dropped_entries":[{"labels":{},"timestamp":"`)
		got = read(t, conn)
	}
	require.Contains(t, got, `"values":[["1700000006000000000","warn again"]]`)
	require.NotContains(t, got, "size=5KB", "a record that the client has comes again")

	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
	<-f.closed
}

func TestTailEndsWithTheServer(t *testing.T) {
	f, srv := tailServer(t, &testkit.MemLog{})
	conn := dial(t, srv, `query={a="b"}`)
	<-f.opened
	close(f.rows)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, _, err := conn.Read(ctx)
	require.Equal(t, websocket.StatusInternalError, websocket.CloseStatus(err))
	<-f.closed
}

func TestTailRefusesMetricQueries(t *testing.T) {
	_, srv := tailServer(t, &testkit.MemLog{})
	res, err := srv.Client().Get(srv.URL + `/loki/api/v1/tail?query=rate({}[1m])`)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 400, res.StatusCode)
	srv.Client().CloseIdleConnections()
}

func TestTailRefusesPagesOfOtherSites(t *testing.T) {
	_, srv := tailServer(t, &testkit.MemLog{})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http")+`/loki/api/v1/tail?query={a="b"}`,
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}
