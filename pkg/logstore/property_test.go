package logstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seed returns the seed of a random test: BRAID_SEED, or a fixed one.
func seed(t *testing.T) uint64 {
	if s := os.Getenv("BRAID_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		return n
	}
	return 1
}

// plainStore is the definition: a list of rows in order of arrival.
type plainStore struct {
	rows []model.LogRow
	spec *model.KeySpec
}

func (p *plainStore) add(logs *model.Logs) {
	for _, b := range logs.Batches {
		for _, r := range b.Records {
			slices.SortStableFunc(r.Attrs, func(a, b model.Attr) int { return cmp.Compare(a.Key, b.Key) })
			if len(r.Attrs) == 0 {
				r.Attrs = nil
			}
			p.rows = append(p.rows, model.LogRow{Resource: b.Resource, Scope: b.Scope, LogRecord: r})
		}
	}
}

func (p *plainStore) match(rng model.TimeRange, e predicate.Expr) []int {
	var out []int
	for i := range p.rows {
		if rng.Contains(p.rows[i].Time) && (e == nil || predicate.Eval(e, predicate.LogRow{LogRow: &p.rows[i], Spec: p.spec})) {
			out = append(out, i)
		}
	}
	return out
}

func (p *plainStore) selectLogs(q *predicate.LogQuery) []model.LogRow {
	idx := p.match(q.Range, q.Filter)
	slices.SortStableFunc(idx, func(a, b int) int {
		c := cmp.Or(cmp.Compare(p.rows[a].Time, p.rows[b].Time), cmp.Compare(a, b))
		if q.Order == predicate.NewestFirst {
			return -c
		}
		return c
	})
	if q.Limit > 0 && len(idx) > q.Limit {
		idx = idx[:q.Limit]
	}
	out := make([]model.LogRow, len(idx))
	for i, k := range idx {
		out[i] = p.rows[k]
	}
	return out
}

// gen makes random records and random questions about them.
type gen struct {
	*rand.Rand
	resources []*model.Resource
	scopes    []*model.Scope
	shaped    bool // most bodies are of few shapes
}

func newGen(seed uint64) *gen {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 7))}
	for i := range 6 {
		r := &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String(fmt.Sprintf("svc-%d", i%4))}, {Key: "host", Value: model.Int(int64(i))}}}
		switch i {
		case 1:
			r.Attrs = append(r.Attrs, model.Attr{Key: "http.route", Value: model.String("/resource")})
		case 2:
			r.Attrs = append(r.Attrs, model.Attr{Key: "session.id", Value: model.String("abc-1")}, model.Attr{Key: "a.b", Value: model.Double(2)})
			r.SchemaURL = "https://example.org/1"
			r.DroppedAttrs = 3
		}
		g.resources = append(g.resources, r)
	}
	g.scopes = []*model.Scope{nil, {}, {Name: "lib", Version: "1.0"}, {Name: "other", Attrs: model.Attrs{{Key: "a_b", Value: model.String("scope")}}}}
	return g
}

func pick[T any](g *gen, s []T) T { return s[g.IntN(len(s))] }

var (
	words = []string{"INFO", "error", "Error", "connection", "refused", "timeout", "user", "GET", "blk_", "packet", "responder",
		"größe", "GRÖSSE", "日本語のログ", "テスト", "日本", "ſtop", "STOP", "Kelvin", "kelvin", "naïve", "x", "42", "4711", "a1b2c3d4", "10.0.0.1",
		"blk_-1608999687919862906", "id=77", "\xff\xfe", "emoji🙂here", "zażółć", "longtoken" + strings.Repeat("abcdefghij", 15)}
	seps  = []string{" ", " ", " ", ": ", "=", ", ", "[", "]", "\n", "/", "-", ".", ""}
	names = []string{"http.route", "http.status", "user.id", "request.id", "a.b", "a_b", "a-b", "rare", "k8s.pod", "dur", "x-request-id", "flag", "obj"}
)

// lines are of common shapes: what templates are made of.
var lines = []string{"INFO request %d from user%d took %dms", "error: connection refused by 10.0.%d.%d port %d", "blk_%d packet%dresponder GET /a/%d",
	"STOP größe%d naïve 日本%d語 x%d", "Error42x %d kelvin Kelvin%d-%d ſtop", "id=%d timeout\nINFO%d x2error%d"}

func (g *gen) text(n int) string {
	if g.shaped && g.IntN(20) > 0 {
		return fmt.Sprintf(pick(g, lines), g.IntN(1000), g.Uint32(), g.IntN(100_000))
	}
	var b strings.Builder
	for range g.IntN(n) + 1 {
		b.WriteString(pick(g, words))
		b.WriteString(pick(g, seps))
		if g.IntN(6) == 0 {
			fmt.Fprintf(&b, "%d", g.IntN(1_000_000))
		}
	}
	return b.String()
}

func (g *gen) uuid() string {
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", g.Uint32(), g.IntN(1<<16), g.IntN(1<<16), g.IntN(1<<16), g.Uint64()>>16)
}

func (g *gen) value(name string) model.Value {
	switch g.IntN(20) {
	case 0:
		return model.Value{}
	case 1:
		return model.Int(int64(g.IntN(600)))
	case 2:
		return model.Double(float64(g.IntN(1000)) / 8)
	case 3:
		return model.Bool(g.IntN(2) == 0)
	case 4:
		return model.ArrayJSON(fmt.Sprintf(`["abc-%d",%d,"x"]`, g.IntN(9), g.IntN(600)))
	case 5:
		return model.MapJSON(`{"k":"v","n":[1,2]}`)
	case 6:
		return model.Bytes(string([]byte{0, 1, byte(g.IntN(256))}))
	case 7:
		return model.Double(pick(g, []float64{math.NaN(), math.Inf(1), math.Copysign(0, -1), 1e300, 0.1, math.MinInt64}))
	case 8:
		return model.Int(pick(g, []int64{math.MinInt64, math.MaxInt64, -1, 0}))
	}
	switch name {
	case "http.status", "dur":
		return model.Int(int64(200 + g.IntN(400)))
	case "user.id":
		return model.String(fmt.Sprintf("user-%d", g.IntN(500)))
	case "request.id", "x-request-id":
		return model.String(pick(g, []string{g.uuid(), strings.ToUpper(g.uuid()), "abc-1"}))
	case "rare":
		return model.String(g.text(4))
	}
	return model.String(pick(g, []string{"/a", "/b/c", "/d", "abc-1", "", "Error", fmt.Sprint(g.IntN(50))}))
}

func (g *gen) logs(now int64) *model.Logs {
	l := &model.Logs{}
	for range g.IntN(3) + 1 {
		b := model.LogBatch{Resource: pick(g, g.resources), Scope: pick(g, g.scopes)}
		for range g.IntN(40) {
			b.Records = append(b.Records, g.record(now))
		}
		l.Batches = append(l.Batches, b)
	}
	return l
}

func (g *gen) record(now int64) model.LogRecord {
	r := model.LogRecord{Time: now - int64(g.IntN(60))*1e9 + pick(g, []int64{0, 0, 5, 123456}), Body: model.String(g.text(8))}
	r.Observed = r.Time + pick(g, []int64{0, 1000, -7, -r.Time})
	switch g.IntN(12) {
	case 0:
		r.Body = g.value("")
	case 1:
		r.Body = model.String("")
	}
	if g.IntN(4) > 0 {
		r.Severity = model.SeverityNumber(pick(g, []int{1, 9, 9, 9, 13, 17, 21, 30}))
		r.SeverityText = pick(g, []string{"INFO", "warn", ""})
	}
	if g.IntN(3) == 0 {
		id := g.IntN(200)
		copy(r.TraceID[:], fmt.Sprintf("trace-%010d", id))
		copy(r.SpanID[:], fmt.Sprintf("s-%06d", g.IntN(500)))
	}
	if g.IntN(10) == 0 {
		r.EventName, r.Flags, r.DroppedAttrs = pick(g, []string{"start", "stop"}), uint32(g.IntN(3)), uint32(g.IntN(3))
	}
	for _, n := range g.Perm(len(names))[:g.IntN(6)] {
		r.Attrs = append(r.Attrs, model.Attr{Key: names[n], Value: g.value(names[n])})
	}
	return r
}

func (g *gen) field() predicate.Field {
	if g.IntN(3) == 0 {
		return predicate.Intrinsic(pick(g, []string{predicate.Body, predicate.Body, predicate.Severity, predicate.Level, predicate.SeverityText,
			predicate.EventName, predicate.Flags, predicate.Time, predicate.TraceID, predicate.SpanID, "nonsense"}))
	}
	f := predicate.Field{Scope: pick(g, []predicate.Scope{predicate.ScopeAny, predicate.ScopeAny, predicate.ScopeRecord, predicate.ScopeResource, predicate.ScopeInstrumentation, predicate.ScopeEvent}),
		Name: pick(g, append([]string{"service.name", "host", "name", "version", "session.id"}, names...))}
	if g.IntN(3) == 0 {
		f.Underscored = true
		f.Name = predicate.Underscore(f.Name)
	}
	return f
}

func (g *gen) expr(depth int, rows []model.LogRow) predicate.Expr {
	if depth > 0 && g.IntN(2) == 0 {
		n := g.IntN(3)
		parts := make([]predicate.Expr, n)
		for i := range parts {
			parts[i] = g.expr(depth-1, rows)
		}
		switch g.IntN(3) {
		case 0:
			return predicate.And(parts)
		case 1:
			return predicate.Or(parts)
		}
		return predicate.Not{X: g.expr(depth-1, rows)}
	}
	sample := model.LogRow{}
	if len(rows) > 0 {
		sample = rows[g.IntN(len(rows))]
	}
	switch g.IntN(8) {
	case 0:
		return predicate.Exists{Field: g.field()}
	case 1, 2:
		return g.compare(sample)
	case 3:
		m, err := predicate.NewMatch(g.field(), pick(g, []string{"/.*", "abc-[0-9]", ".*[eE]rror.*", "", "user-1.*|/a", "svc-[12]", `(?i)ERROR.*`}))
		if err != nil {
			panic(err)
		}
		return m
	case 4:
		return g.correlated(sample)
	}
	return g.textExpr(sample)
}

func (g *gen) compare(r model.LogRow) predicate.Expr {
	c := predicate.Compare{Field: g.field(), Op: predicate.Op(g.IntN(6)), Value: g.value(pick(g, names)), Loose: g.IntN(2) == 0}
	if g.IntN(2) == 0 && len(r.Attrs) > 0 {
		a := pick(g, r.Attrs)
		c.Field, c.Value = predicate.Field{Name: a.Key}, a.Value
		c.Op = predicate.Eq
	}
	if c.Field.Scope == predicate.ScopeIntrinsic {
		switch c.Field.Name {
		case predicate.TraceID:
			c.Value = model.String(r.TraceID.String())
		case predicate.SpanID:
			c.Value = model.String(r.SpanID.String())
		case predicate.Time:
			c.Value = model.Int(r.Time)
		case predicate.Level:
			c.Value = model.String("error")
		}
	}
	return c
}

func (g *gen) correlated(r model.LogRow) predicate.Expr {
	switch g.IntN(4) {
	case 0:
		return predicate.Correlated{Kind: pick(g, []string{"", model.KeyTrace}), ID: r.TraceID.String()}
	case 1:
		return predicate.Correlated{Kind: pick(g, []string{"", model.KeySession, model.KeyRequest}), ID: "abc-1"}
	}
	for _, a := range r.Attrs {
		if kind, ok := model.NewKeySpec(nil).Kind(a.Key); ok {
			return predicate.Correlated{Kind: pick(g, []string{"", kind, model.KeyUser}), ID: model.Canonical(kind, a.Value.Text())}
		}
	}
	return predicate.Correlated{ID: "nobody"}
}

func (g *gen) textExpr(r model.LogRow) predicate.Expr {
	f := predicate.Intrinsic(predicate.Body)
	if g.IntN(5) == 0 {
		f = g.field()
	}
	body := r.Body.Text()
	q := pick(g, words)
	if len(body) > 4 && g.IntN(2) == 0 {
		from := g.IntN(len(body) - 2)
		q = body[from : from+1+g.IntN(min(20, len(body)-from))]
	}
	mode := predicate.TextMode(g.IntN(4))
	if mode == predicate.Regexp {
		q = pick(g, []string{"con[a-z]+ion", "blk_-?[0-9]+", "(?i)kelvin", "time|GET", "[0-9]{3,}", "日本.", "^INFO", "error$", "er+or (user|x)", "p.*t", "",
			"(?:abc|user)?-1", "größe+", `\d+\.\d+`, "re(fus|spond)e", "(?i)größe", "STOP|ſtop"})
	}
	if g.IntN(3) == 0 {
		q = strings.ToUpper(q)
	}
	t, err := predicate.NewText(f, mode, q, g.IntN(3) == 0)
	if err != nil {
		return predicate.True{}
	}
	return t
}

func (g *gen) rng(now int64) model.TimeRange {
	if g.IntN(2) == 0 {
		return model.TimeRange{}
	}
	s := now - int64(g.IntN(70))*1e9
	return model.TimeRange{Start: s, End: s + int64(g.IntN(50)+1)*1e9}
}

const testNow = int64(1_700_000_000_000_000_000)

func testOptions(dir string) Options {
	return Options{Dir: dir, Maintenance: -1, Now: func() time.Time { return time.Unix(0, testNow) }}
}

func openTest(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	require.NoError(t, err)
	return s
}

func collectRows(t *testing.T, s *Store, q *predicate.LogQuery) []model.LogRow {
	t.Helper()
	var out []model.LogRow
	for rows, err := range s.SelectLogs(context.Background(), q) {
		require.NoError(t, err)
		out = append(out, rows...)
	}
	return out
}

// requireRows compares answers; NaN and pointers make reflect.DeepEqual unfit.
func requireRows(t *testing.T, want, got []model.LogRow, what string) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range want {
		w, g := want[i], got[i]
		g.Seq, w.Seq = 0, 0
		if !reflect.DeepEqual(w, g) {
			t.Fatalf("%s: row %d:\n got %+v %+v %+v\nwant %+v %+v %+v", what, i, g.LogRecord, g.Resource, g.Scope, w.LogRecord, w.Resource, w.Scope)
		}
	}
}

func checkStore(t *testing.T, g *gen, s *Store, p *plainStore, now int64, n int, what string) {
	t.Helper()
	for i := range n {
		q := &predicate.LogQuery{Tenant: "t", Range: g.rng(now), Filter: g.expr(3, p.rows), Order: predicate.Order(g.IntN(2)), Limit: pick(g, []int{0, 0, 1, 7, 100})}
		q.Stats = &model.QueryStats{}
		desc := fmt.Sprintf("%s, query %d: %v range %v order %d limit %d", what, i, q.Filter, q.Range, q.Order, q.Limit)
		requireRows(t, p.selectLogs(q), collectRows(t, s, q), desc)
		require.Empty(t, q.Stats.Warnings(), desc)
		if i%4 == 0 {
			checkAggregate(t, g, s, p, q, desc)
		}
	}
}

// checkAggregate compares counts and sums by random fields.
func checkAggregate(t *testing.T, g *gen, s *Store, p *plainStore, lq *predicate.LogQuery, what string) {
	t.Helper()
	q := &predicate.Aggregation{Tenant: "t", Range: lq.Range, Filter: lq.Filter, Measure: predicate.Measure(g.IntN(3)), OfText: g.IntN(2) == 0,
		Of: pick(g, []predicate.Field{{Name: "http.status"}, {Name: "dur"}, predicate.Intrinsic(predicate.Body), {Name: "host"}, {Name: "a.b"}})}
	for range g.IntN(4) {
		q.By = append(q.By, g.field())
	}
	if g.IntN(2) == 0 {
		q.Step = pick(g, []int64{7e9, 1e9, 60e9, 2_345_678_901, 987_654_321})
	}
	if g.IntN(3) == 0 { // a histogram
		q.By, q.Measure = []predicate.Field{predicate.Intrinsic(pick(g, []string{predicate.Severity, predicate.Level}))}, predicate.CountOnly
	}
	got, err := s.AggregateLogs(context.Background(), q)
	require.NoError(t, err, what)
	want := map[string]*model.Cell{}
	for _, i := range p.match(q.Range, q.Filter) {
		row := predicate.LogRow{LogRow: &p.rows[i], Spec: p.spec}
		key := ""
		if q.Step > 0 {
			key = fmt.Sprint((row.Time - got.Start) / q.Step)
		}
		for _, f := range q.By {
			v := first(row, f)
			key += fmt.Sprintf("|%d %x %q", v.Kind(), v.Num(), v.Str())
		}
		c := want[key]
		if c == nil {
			c = &model.Cell{}
			want[key] = c
		}
		if v, ok := number(row, q); ok && q.Measure != predicate.CountOnly {
			c.Measure(v, q.Measure == predicate.Quantiles)
		} else {
			c.Add()
		}
	}
	have := map[string]*model.Cell{}
	for _, grp := range got.Groups {
		require.Len(t, grp.Cells, got.Buckets)
		for b := range grp.Cells {
			if grp.Cells[b].Count == 0 {
				continue
			}
			key := ""
			if q.Step > 0 {
				key = fmt.Sprint(b)
			}
			for _, v := range grp.Key {
				key += fmt.Sprintf("|%d %x %q", v.Kind(), v.Num(), v.Str())
			}
			have[key] = &grp.Cells[b]
		}
	}
	require.Len(t, have, len(want), what)
	for key, w := range want {
		h := have[key]
		require.NotNil(t, h, "%s: group %s", what, key)
		requireCell(t, w, h, what+": group "+key)
	}
}

func requireCell(t *testing.T, w, h *model.Cell, what string) {
	t.Helper()
	require.Equal(t, w.Count, h.Count, what)
	require.Equal(t, w.Measured, h.Measured, what)
	if math.Max(math.Abs(w.Min), math.Abs(w.Max)) < 1e12 { // the sum of others depends on the order
		require.InDelta(t, w.Sum, h.Sum, 1e-6*(1+math.Abs(w.Sum)), what)
		require.Equal(t, w.Min, h.Min, what)
		require.Equal(t, w.Max, h.Max, what)
	}
	if w.Sketch == nil {
		require.Nil(t, h.Sketch, what)
		return
	}
	require.Equal(t, w.Sketch.Total, h.Sketch.Total, what)
	require.Equal(t, fmt.Sprint(w.Sketch.Quantile(0.5)), fmt.Sprint(h.Sketch.Quantile(0.5)), what)
}

func first(r predicate.Row, f predicate.Field) (out model.Value) {
	r.Lookup(f, func(v model.Value) bool { out = v; return false })
	return out
}

func number(r predicate.LogRow, q *predicate.Aggregation) (float64, bool) {
	found := false
	var out model.Value
	r.Lookup(q.Of, func(v model.Value) bool { out, found = v, true; return false })
	if !found {
		return 0, false
	}
	if q.Of == predicate.Intrinsic(predicate.Body) {
		return float64(len(out.Text())), true
	}
	if q.OfText {
		return out.ParseFloat()
	}
	return out.Float()
}

// TestAnswersAreThoseOfAPlainList: whatever is asked, head, block, several
// blocks and a reopened store answer as a list of rows would.
func TestAnswersAreThoseOfAPlainList(t *testing.T) {
	for round := range uint64(3) {
		sd := seed(t) + round
		g := newGen(sd)
		g.shaped = round != 1
		o := testOptions(t.TempDir())
		if round > 0 { // small pages, so that pruning has something to get wrong
			o.pageRows, o.chunkRows = 4+g.IntN(60), 8+g.IntN(100)
		}
		s := openTest(t, o)
		p := &plainStore{spec: o.keySpec()}
		what := fmt.Sprintf("BRAID_SEED=%d", sd)
		pos := model.Position(0)
		fill := func(n int) {
			for range n {
				pos++
				l := g.logs(testNow + int64(pos)*1e8)
				p.add(l)
				_, err := s.AppendLogs(context.Background(), "t", pos, l)
				require.NoError(t, err)
			}
		}
		fill(40)
		checkStore(t, g, s, p, testNow, 40, what+" head")
		require.NoError(t, s.Flush(context.Background()))
		checkStore(t, g, s, p, testNow, 60, what+" block")
		fill(20)
		checkStore(t, g, s, p, testNow, 25, what+" block and head")
		require.NoError(t, s.Flush(context.Background()))
		fill(50)
		require.NoError(t, s.Close())
		s = openTest(t, o)
		checkStore(t, g, s, p, testNow, 40, what+" reopened")
		before := collectRows(t, s, &predicate.LogQuery{Tenant: "t"})
		mergeAll(t, s)
		requireSame(t, before, collectRows(t, s, &predicate.LogQuery{Tenant: "t"}))
		checkStore(t, g, s, p, testNow, 40, what+" merged")
		for range 3 {
			d := Deletion{Tenant: "t", Range: g.rng(testNow), Filter: g.expr(2, p.rows)}
			if g.IntN(2) == 0 {
				d.Filter = predicate.AllOf(d.Filter, g.compare(p.rows[g.IntN(len(p.rows))]))
			}
			_, err := s.Delete(context.Background(), d)
			require.NoError(t, err)
			gone := p.match(d.Range, d.Filter)
			for i := len(gone) - 1; i >= 0; i-- {
				p.rows = slices.Delete(p.rows, gone[i], gone[i]+1)
			}
			checkStore(t, g, s, p, testNow, 10, what+fmt.Sprintf(" deleted %v %v", d.Range, d.Filter))
			fill(5)
		}
		require.NoError(t, s.Close())
		s = openTest(t, o)
		checkStore(t, g, s, p, testNow, 30, what+" deleted and reopened")
		s.Maintain(context.Background())
		checkStore(t, g, s, p, testNow, 30, what+" deleted and rewritten")
		for _, d := range s.Deletions("t") {
			require.Zero(t, d.Pending, what)
		}
		require.NoError(t, s.Close())
	}
}

// mergeAll joins all blocks of the tenant into one.
func mergeAll(t *testing.T, s *Store) {
	t.Helper()
	tn := s.lookup("t")
	tn.mu.Lock()
	inputs := slices.Clone(tn.blocks)
	tn.mu.Unlock()
	require.NotEmpty(t, inputs)
	for _, r := range inputs {
		require.True(t, r.acquire())
	}
	s.mergeAndReplace(context.Background(), tn, inputs)
	for _, r := range inputs {
		r.release()
	}
	n, _ := s.disk()
	require.Equal(t, 1, n)
}

// requireSame compares rows with their sequence numbers: a merge keeps them.
func requireSame(t *testing.T, want, got []model.LogRow) {
	t.Helper()
	requireRows(t, want, got, "same rows")
	for i := range want {
		require.Equal(t, want[i].Seq, got[i].Seq)
	}
}

func (o Options) keySpec() *model.KeySpec { o, _ = o.withDefaults(); return o.KeySpec() }
