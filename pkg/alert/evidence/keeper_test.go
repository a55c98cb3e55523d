package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/internal/vfs"
	"braid/pkg/alert/journal"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source answers with what a test says; block makes it wait for the context.
type source struct {
	block bool
	err   error
	asked sync.Map
}

func (s *source) wait(ctx context.Context, what string) error {
	s.asked.Store(what, true)
	if s.block {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.err
}

func (s *source) Values(ctx context.Context, _ Question) ([]Series, error) {
	return []Series{{Labels: map[string]string{"job": "cart"}, Points: []Point{{1000, 1}, {2000, 5}}}}, s.wait(ctx, "values")
}

func (s *source) Requests(ctx context.Context, _ Question, _ int) ([]Request, error) {
	if err := s.wait(ctx, "requests"); err != nil {
		return nil, err
	}
	return []Request{{TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Service: "cart", Route: "/checkout", Status: "500", Error: true, DurationNs: 2_300_000_000, Reason: "failed"}}, nil
}

func (s *source) Logs(ctx context.Context, _ Question, rs []Request, _ int) ([]Line, string, error) {
	if err := s.wait(ctx, "logs"); err != nil {
		return nil, "", err
	}
	var out []Line
	for i := range 7 {
		out = append(out, Line{Service: "cart", Level: "error", Text: fmt.Sprintf("payment %d refused", i)})
	}
	return append(out, Line{Service: "cart", Level: "info", Text: "hello"}), fmt.Sprintf(`{service_name="cart"} of %d`, len(rs)), nil
}

func (s *source) Different(ctx context.Context, _ Question, _ []Request, _ int) ([]Difference, error) {
	return []Difference{{Field: "resource.k8s.pod.name", Value: "cart-7", Share: .92, Rest: .03}}, s.wait(ctx, "differences")
}

// pager keeps what it is told.
type pager struct {
	mu         sync.Mutex
	held, sent []Alert
	arrived    chan struct{}
}

func newPager() *pager { return &pager{arrived: make(chan struct{}, 100_000)} }

func (p *pager) Hold(_ context.Context, _ tenant.ID, list []Alert) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = append(p.held, list...)
	return nil
}

func (p *pager) Page(_ context.Context, _ tenant.ID, list []Alert) error {
	p.mu.Lock()
	p.sent = append(p.sent, list...)
	p.mu.Unlock()
	for range list {
		p.arrived <- struct{}{}
	}
	return nil
}

func (p *pager) wait(t *testing.T, n int) []Alert {
	t.Helper()
	for range n {
		select {
		case <-p.arrived:
		case <-time.After(20 * time.Second):
			t.Fatal("no page")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Alert(nil), p.sent...)
}

func openKeeper(t *testing.T, o Options) *Keeper {
	t.Helper()
	if o.Dir == "" {
		o.Dir = "/h"
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{Scheme: "https", Host: "o11y.example"}
	}
	k, err := Open(o)
	require.NoError(t, err)
	return k
}

var base = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func firing(name string, at time.Time) Alert {
	return Alert{Labels: map[string]string{"alertname": name, "job": "cart", "severity": "page"}, Series: map[string]string{"job": "cart"},
		Annotations: map[string]string{"runbook_url": "https://r/1"}, Expr: "up == 0", ActiveAt: at.Add(-time.Minute), FiredAt: at, ValidUntil: at.Add(4 * time.Minute)}
}

func TestEvidenceIsInThePageAndKept(t *testing.T) {
	fs, p := vfs.NewCrashable(), newPager()
	now := base
	o := Options{FS: fs, Source: &source{}, Pager: p, Now: func() time.Time { return now }}
	k := openKeeper(t, o)
	a := firing("Failing", base)
	k.Notify(context.Background(), "t", []Alert{a})
	sent := p.wait(t, 1)
	require.Len(t, p.held, 1, "durable before it is gathered for")
	n := sent[0].Annotations
	require.Equal(t, "https://r/1", n["runbook_url"])
	require.Equal(t, "https://o11y.example/alerting?alert=Failing&fingerprint="+a.Fingerprint(), n[NoteURL])
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736 cart /checkout, 2.3s, 500 error (failed)", n[NoteRequests])
	require.Equal(t, "[error] cart: payment 0 refused (×7)\n[info] cart: hello", n[NoteLogs])
	require.Equal(t, "resource.k8s.pod.name = cart-7 (92 % of these, 3 % of the rest)", n[NoteDifferent])
	require.Equal(t, "{job=cart} = 5 (1 to 5 since 00:00:01 UTC)", n[NoteValues])

	// Sent again, it carries the same; nothing is asked twice.
	k.Notify(context.Background(), "t", []Alert{a})
	require.Equal(t, n, p.wait(t, 1)[1].Annotations)
	k.Paged("t", []string{a.Fingerprint()}, Page{At: now, Receiver: "oncall", Integration: "pagerduty[0]"})
	require.NoError(t, k.Close())

	// A new process knows it all, after power loss too.
	o.FS, o.Source = fs.CrashClone(nil), &source{err: errors.New("must not be asked")}
	k = openKeeper(t, o)
	e, pack, err := k.Evidence("t", a.Fingerprint(), time.Time{})
	require.NoError(t, err)
	require.Equal(t, "firing", e.State())
	require.Len(t, e.Pages, 1)
	require.Equal(t, `{service_name="cart"} of 1`, pack.LogQuery)
	require.Len(t, pack.Requests, 1)
	require.Len(t, pack.Links, 3)
	again := a
	again.FiredAt = base.Add(2 * time.Minute) // as after a restart
	k.Notify(context.Background(), "t", []Alert{again})
	require.Equal(t, n, p.wait(t, 1)[2].Annotations)
	require.Len(t, k.History("t", HistoryQuery{}), 1, "the same episode")
	again.ResolvedAt = base.Add(5 * time.Minute)
	k.Notify(context.Background(), "t", []Alert{again})
	p.wait(t, 1)
	h := k.History("t", HistoryQuery{State: "resolved"})
	require.Len(t, h, 1)
	require.Equal(t, base.Add(-time.Minute), h[0].PendingAt)
	require.Equal(t, base.Add(5*time.Minute), h[0].ResolvedAt)
	_, _, err = k.Evidence("other", a.Fingerprint(), time.Time{})
	require.ErrorIs(t, err, model.ErrNotFound, "another tenant sees nothing")
	require.Empty(t, k.History("other", HistoryQuery{}))
	require.NoError(t, k.Close())
}

func TestSilentSourceDelaysThePageByTheBudgetOnly(t *testing.T) {
	p := newPager()
	k := openKeeper(t, Options{FS: vfs.NewCrashable(), Source: &source{block: true}, Pager: p, Budget: 50 * time.Millisecond})
	k.Notify(context.Background(), "t", []Alert{firing("A", time.Now())})
	sent := p.wait(t, 1)
	require.Contains(t, sent[0].Annotations, NoteURL)
	require.NotContains(t, sent[0].Annotations, NoteLogs)
	require.NoError(t, k.Close())
	_, pack, err := k.Evidence("t", sent[0].Fingerprint(), time.Time{})
	require.NoError(t, err)
	require.NotNil(t, pack)
	require.Contains(t, pack.Missing, "logs: no answer in time")
}

func TestStormPagesEveryAlertOnce(t *testing.T) {
	p := newPager()
	k := openKeeper(t, Options{FS: vfs.NewCrashable(), Source: &source{}, Pager: p, MaxWaiting: 100})
	var list []Alert
	now := time.Now()
	for i := range 5000 {
		list = append(list, firing(fmt.Sprintf("A%d", i), now))
	}
	k.Notify(context.Background(), "t", list)
	sent := p.wait(t, 5000)
	seen := map[string]bool{}
	for _, a := range sent {
		require.False(t, seen[a.Name()], a.Name())
		seen[a.Name()] = true
		require.Contains(t, a.Annotations, NoteURL)
	}
	require.NoError(t, k.Close())
}

func TestLostAndOldEpisodesEnd(t *testing.T) {
	p := newPager()
	now := base
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	move := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	k := openKeeper(t, Options{FS: vfs.NewCrashable(), Source: &source{}, Pager: p, Now: clock, Retention: time.Hour})
	k.Notify(context.Background(), "t", []Alert{firing("A", base)})
	p.wait(t, 1)
	move(4 * time.Minute)
	k.Tidy()
	require.Equal(t, "firing", k.History("t", HistoryQuery{})[0].State())
	move(3 * time.Minute)
	k.Tidy()
	e := k.History("t", HistoryQuery{})[0]
	require.True(t, e.Lost)
	require.Equal(t, base.Add(4*time.Minute), e.ResolvedAt)
	move(2 * time.Hour)
	k.Tidy()
	require.Empty(t, k.History("t", HistoryQuery{}))
	require.NoError(t, k.Close())
}

// Two states of an episode that were written at the same time, the newer first:
// the alert had been resolved and must not be open again after a start.
func TestNewerStateWinsWhateverItsPlace(t *testing.T) {
	k := openKeeper(t, Options{FS: vfs.NewCrashable(), Source: &source{}, Pager: newPager()})
	defer func() { require.NoError(t, k.Close()) }()
	byStart := map[string]*Episode{}
	for i, r := range []record{
		{Rev: 1, Episode: &Episode{Tenant: "t", Fingerprint: "f", FiredAt: base}},
		{Rev: 3, Episode: &Episode{Tenant: "t", Fingerprint: "f", FiredAt: base, ResolvedAt: base.Add(time.Minute)}},
		{Rev: 2, Episode: &Episode{Tenant: "t", Fingerprint: "f", FiredAt: base}},
	} {
		b, err := json.Marshal(r)
		require.NoError(t, err)
		k.replay(byStart, journal.Position{Segment: 1, Offset: int64(i)}, b)
	}
	require.Len(t, byStart, 1)
	for _, e := range byStart {
		require.Equal(t, base.Add(time.Minute), e.ResolvedAt)
		require.EqualValues(t, 1, e.place.Offset)
	}
}

// Random alerts and crashes: what History tells is what a simple model says.
func TestHistoryAgainstModel(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 7))
		fs, now := vfs.NewCrashable(), base
		o := Options{FS: fs, Source: &source{}, Now: func() time.Time { return now }, Workers: 1}
		p := newPager()
		o.Pager = p
		k := openKeeper(t, o)
		type truth struct{ fired, resolved time.Time }
		want := map[string][]truth{}
		for range 60 {
			now = now.Add(time.Second)
			name := fmt.Sprint("A", rng.IntN(4))
			list := want[name]
			isOpen := len(list) > 0 && list[len(list)-1].resolved.IsZero()
			switch rng.IntN(4) {
			case 0, 1:
				k.Notify(context.Background(), "t", []Alert{firing(name, now)})
				p.wait(t, 1)
				if !isOpen {
					want[name] = append(list, truth{fired: now})
				}
			case 2:
				if isOpen {
					a := firing(name, list[len(list)-1].fired)
					a.ResolvedAt = now
					k.Notify(context.Background(), "t", []Alert{a})
					p.wait(t, 1)
					list[len(list)-1].resolved = now
				}
			case 3:
				if rng.IntN(3) == 0 {
					require.NoError(t, k.Close())
					o.FS = o.FS.(*vfs.Crashable).CrashClone(rng)
					k = openKeeper(t, o)
				}
			}
		}
		for name, list := range want {
			got := k.History("t", HistoryQuery{Name: name})
			require.Len(t, got, len(list), "seed %d %s", seed, name)
			for i, e := range got {
				w := list[len(list)-1-i]
				require.True(t, w.fired.Equal(e.FiredAt) && w.resolved.Equal(e.ResolvedAt), "seed %d %s: %v, want %v", seed, name, e, w)
			}
		}
		require.NoError(t, k.Close())
	}
}

func TestCleanAndRepresent(t *testing.T) {
	require.Equal(t, "a b?c", clean("a\nb\xffc"))
	require.Equal(t, "evil", clean("\u202eev\u200e\u009bil"))
	got := Represent([]Line{{Text: `user "bob" took 17ms`, Level: "info"}, {Text: `user "eve" took 9ms`, Level: "info"}, {Text: "id deadbeefdeadbeefdead gone", Level: "error"}}, 5)
	require.Equal(t, []Line{{Text: "id deadbeefdeadbeefdead gone", Level: "error", Count: 1}, {Text: `user "bob" took 17ms`, Level: "info", Count: 2}}, got)
	require.Equal(t, "aé…", cut("aéééé", 3))
}

func FuzzRepresent(f *testing.F) {
	f.Add("a \"b\" 12 \xff", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		got := Represent([]Line{{Text: a}, {Text: b}, {Text: a}}, 2)
		n := 0
		for _, l := range got {
			n += l.Count
		}
		require.Equal(t, 3, n)
		require.LessOrEqual(t, len(cut(a, 5)), 5+len("…"))
		clean(a)
	})
}
