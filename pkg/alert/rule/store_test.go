package rule

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/model"
)

func group(name, expr string) rulefmt.RuleGroup {
	return rulefmt.RuleGroup{Name: name, Rules: []rulefmt.Rule{{Alert: "A", Expr: expr, Annotations: map[string]string{"summary": "{{ $value }}"}}}}
}

func TestStoreGroups(t *testing.T) {
	fs := vfs.NewCrashable()
	s, err := OpenStore(StoreOptions{FS: fs, Dir: "/rules", Parser: parser.NewParser(parser.Options{})})
	require.NoError(t, err)
	for _, ns := range []string{"plain", "../../etc", "..", "a/b c%41", "ns"} {
		_, err = s.SetGroup("t", Metrics, ns, group("g", "up == 0"))
		require.NoError(t, err, ns)
	}
	_, err = s.SetGroup("t", Metrics, "plain", group("g", "up == 1"))
	require.NoError(t, err)
	_, err = s.SetGroup("t", Metrics, "plain", group("h", "up"))
	require.NoError(t, err)
	// All is there after power loss, under the names it came by.
	s, err = OpenStore(StoreOptions{FS: fs.CrashClone(nil), Dir: "/rules", Parser: parser.NewParser(parser.Options{})})
	require.NoError(t, err)
	names, err := s.Namespaces("t", Metrics)
	require.NoError(t, err)
	require.Equal(t, []string{"..", "../../etc", "a/b c%41", "ns", "plain"}, names)
	g, err := s.Group("t", Metrics, "plain", "g")
	require.NoError(t, err)
	require.Equal(t, "up == 1", g.Rules[0].Expr)
	_, err = s.Group("other", Metrics, "plain", "g")
	require.ErrorIs(t, err, model.ErrNotFound)
	tenants, err := s.Tenants()
	require.NoError(t, err)
	require.Len(t, tenants, 1)

	undo, err := s.DeleteGroup("t", Metrics, "plain", "g")
	require.NoError(t, err)
	_, err = s.Group("t", Metrics, "plain", "g")
	require.ErrorIs(t, err, model.ErrNotFound)
	require.NoError(t, undo())
	_, err = s.Group("t", Metrics, "plain", "g")
	require.NoError(t, err)
	_, err = s.DeleteNamespace("t", Metrics, "plain")
	require.NoError(t, err)
	files, err := s.Files("t")
	require.NoError(t, err)
	require.Len(t, files, 4)

	for _, bad := range []rulefmt.RuleGroup{group("g", "sum("), group("", "up"), {Name: "empty"}} {
		_, err = s.SetGroup("t", Metrics, "x", bad)
		require.ErrorIs(t, err, model.ErrInvalid)
	}
}

// A change that was answered for is there after a crash; one that was not is
// there whole or not at all.
func TestStoreCrash(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewCrashable()
		open := func(fs vfs.FS) *Store {
			s, err := OpenStore(StoreOptions{FS: fs, Dir: "/rules", Parser: parser.NewParser(parser.Options{})})
			require.NoError(t, err)
			return s
		}
		s, want := open(fs), map[string]string{}
		for range 10 {
			ns, expr := string(rune('a'+rng.IntN(3))), string(rune('p'+rng.IntN(5)))
			_, err := s.SetGroup("t", Logs, ns, group("g", expr))
			require.NoError(t, err)
			want[ns] = expr
		}
		s = open(fs.CrashClone(rng))
		for ns, expr := range want {
			g, err := s.Group("t", Logs, ns, "g")
			require.NoError(t, err)
			require.Equal(t, expr, g.Rules[0].Expr)
		}
	}
}

// oneSeries holds a single series, up{job="a"}.
type oneSeries struct{ storage.Querier }

func (oneSeries) Close() error { return nil }

func (oneSeries) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	ls := labels.FromStrings("__name__", "up", "job", "a")
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return storage.EmptySeriesSet()
		}
	}
	return &one{Series: storage.NewListSeries(ls, nil)}
}

type one struct {
	storage.Series
	done bool
}

func (o *one) Next() bool                      { was := o.done; o.done = true; return !was }
func (o *one) At() storage.Series              { return o.Series }
func (*one) Err() error                        { return nil }
func (*one) Warnings() annotations.Annotations { return nil }

func TestRulesThatMatchNothingAreSeen(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	b := newBlindness(Options{Queryable: storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return oneSeries{}, nil }),
		Any: func(_ context.Context, l, expr string) (bool, error) { return l == "logql" && expr == "there", nil }})
	for expr, want := range map[string][]string{
		`up == 0`:             nil,
		`up{job="b"} == 0`:    {`up{job="b"}`},
		`rate(gone[5m]) > up`: {"gone"},
		`absent(gone) or absent_over_time(gone[5m])`: nil,
		`ALERTS{alertname="X"}`:                      nil,
		`gone offset 5m`:                             {"gone"},
		`{__logql__="there"}`:                        nil,
		`{__traceql__="away"}`:                       {`{__traceql__="away"}`},
	} {
		e, err := p.ParseExpr(expr)
		require.NoError(t, err)
		g := rules.NewGroup(rules.GroupOptions{Name: "g", File: "f", Interval: time.Minute, Rules: []rules.Rule{rules.NewRecordingRule("r", e, labels.EmptyLabels())}})
		b.look(context.Background(), []*rules.Group{g}, time.Now())
		require.Equal(t, want, b.seen[blindRule{"f;g", "r"}], expr)
	}
}

func TestCheckReadsVirtualQueries(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	bad := func(language, expr string) error {
		if expr == "bad" {
			return model.ErrInvalid
		}
		return nil
	}
	require.NoError(t, CheckVirtual(p, `{__logql__="good"} > 1`, bad))
	require.ErrorIs(t, CheckVirtual(p, `sum({__traceql__="bad"}) > 1`, bad), model.ErrInvalid)
}
