package federate

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// filter is a language of tests: {}, {name=value} or {name=value,…}.
func filter(text string) (predicate.Expr, error) {
	inner, ok := strings.CutPrefix(text, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if !ok || !closed {
		return nil, fmt.Errorf("%w: %s", model.ErrInvalid, text)
	}
	var all predicate.And
	for _, part := range strings.Split(inner, ",") {
		if k, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok {
			all = append(all, predicate.Compare{Field: predicate.Field{Name: k}, Value: model.String(v), Loose: true})
		}
	}
	return all, nil
}

func selectors(text string) ([][]query.LabelMatcher, error) {
	return [][]query.LabelMatcher{{{Name: "__name__", Op: "=", Value: text}}}, nil
}

type memExemplars struct {
	query.MetricSource
	rows []model.ExemplarRow
}

func (m *memExemplars) Exemplars(_ context.Context, q *query.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	return func(yield func([]model.ExemplarRow, error) bool) {
		for i := range m.rows {
			if q.Range.Contains(m.rows[i].Time) && m.rows[i].Series[0].Value == q.Series[0][0].Value && !yield(m.rows[i:i+1], nil) {
				return
			}
		}
	}
}

// shop is a history in lists, and the sources that hold it.
type shop struct {
	spans     []model.SpanRow
	logs      []model.LogRow
	exemplars []model.ExemplarRow
	spec      *model.KeySpec
}

func (s *shop) engine(o Options) *Engine {
	traces, logs := testkit.NewMemTraces(), &testkit.MemLog{}
	traces.Add(tenant.Default, s.spans...)
	logs.Append(tenant.Default, s.logs...)
	o.Traces, o.Logs, o.Metrics = traces, logs, &memExemplars{rows: s.exemplars}
	o.KeySpec = func() *model.KeySpec { return s.spec }
	o.SpanFilter, o.LogFilter, o.Selectors = filter, filter, selectors
	return New(o)
}

func str(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }

const epoch = int64(1_700_000_000_000_000_000)

// randomShop draws requests whose parts carry a trace id, a request id, both
// or neither.
func randomShop(seed uint64, requests int) *shop {
	r := rand.New(rand.NewPCG(seed, 3))
	s := &shop{spec: model.NewKeySpec(nil)}
	var services []*model.Resource
	for _, n := range []string{"web", "pay", "mail"} {
		services = append(services, &model.Resource{Attrs: model.Attrs{str("service.name", n)}})
	}
	ids := func(n int) (trace model.TraceID, attrs model.Attrs) {
		if r.IntN(3) > 0 {
			binary.BigEndian.PutUint64(trace[8:], uint64(n+1))
		}
		if r.IntN(3) == 0 {
			id := fmt.Sprintf("7f3a0000-0000-4000-8000-%012x", n)
			if r.IntN(2) == 0 {
				id = strings.ToUpper(id)
			}
			attrs = append(attrs, str("x-request-id", id))
		}
		if r.IntN(4) == 0 {
			attrs = append(attrs, str("user.id", fmt.Sprintf("u%d", n%7)))
		}
		return trace, append(attrs, str("class", fmt.Sprint(r.IntN(3))), model.Attr{Key: "size", Value: model.Int(int64(r.IntN(50)))})
	}
	for n := range requests {
		for range r.IntN(4) {
			trace, attrs := ids(n)
			if trace.IsZero() {
				binary.BigEndian.PutUint64(trace[8:], uint64(n+1))
			}
			at := epoch + int64(r.IntN(100))
			span := model.Span{TraceID: trace, Name: "op", Start: at, End: at + int64(r.IntN(100)), Attrs: attrs, Status: model.StatusCode(r.IntN(3))}
			binary.BigEndian.PutUint64(span.SpanID[:], r.Uint64()|1)
			s.spans = append(s.spans, model.SpanRow{Resource: services[r.IntN(3)], Span: span})
		}
		for range r.IntN(4) {
			trace, attrs := ids(n)
			s.logs = append(s.logs, model.LogRow{Resource: services[r.IntN(3)], LogRecord: model.LogRecord{Time: epoch + int64(r.IntN(100)),
				TraceID: trace, Attrs: attrs, Body: model.String(fmt.Sprintf("line %d", r.IntN(1000))), Severity: model.SeverityNumber(r.IntN(25))}})
		}
		if r.IntN(3) == 0 {
			trace, attrs := ids(n)
			s.exemplars = append(s.exemplars, model.ExemplarRow{Series: []model.Label{{Name: "__name__", Value: "m"}, {Name: "service", Value: "web"}},
				Exemplar: model.Exemplar{Time: epoch + int64(r.IntN(100)), Value: float64(r.IntN(9)), TraceID: trace, Attrs: attrs}})
		}
	}
	return s
}

// flat is a record as the brute force sees it.
type flat struct {
	keys       map[model.CorrelationKey]bool
	start, end int64
	service    string
	failed     bool
	size       model.Value
}

func (s *shop) flats(signal Signal, class string) (out []flat) {
	add := func(keys []model.CorrelationKey, start, end int64, service string, failed bool, attrs model.Attrs) {
		if attrs.Text("class") != class && class != "" {
			return
		}
		f := flat{map[model.CorrelationKey]bool{}, start, end, service, failed, model.Value{}}
		f.size, _ = attrs.Get("size")
		for _, k := range keys {
			f.keys[k] = true
		}
		out = append(out, f)
	}
	var keys []model.CorrelationKey
	note := func(k model.CorrelationKey) { keys = append(keys, k) }
	switch signal {
	case Traces:
		for i := range s.spans {
			r := &s.spans[i]
			keys = nil
			predicate.EachSpanKey(s.spec, r, note)
			add(keys, r.Start, r.End, r.Resource.Service(), r.Status == model.StatusError, r.Attrs)
		}
	case Logs:
		for i := range s.logs {
			r := &s.logs[i]
			keys = nil
			predicate.EachLogKey(s.spec, r, note)
			add(keys, r.Time, r.Time, r.Resource.Service(), r.Severity >= 17, r.Attrs)
		}
	case Exemplars:
		for i := range s.exemplars {
			r := &s.exemplars[i]
			keys = nil
			predicate.EachExemplarKey(s.spec, r, note)
			add(keys, r.Time, r.Time, "web", false, r.Attrs)
		}
	}
	return out
}

// rowIDs says to which ids of a kind a record belongs: its own; with none,
// those of the records of all sides that share a trace or request id with it.
func rowIDs(f flat, kind string, all []flat) map[string]bool {
	out := map[string]bool{}
	for k := range f.keys {
		if k.Kind == kind {
			out[k.ID] = true
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, o := range all {
		shared := false
		for k := range f.keys {
			shared = shared || o.keys[k] && (k.Kind == model.KeyTrace || k.Kind == model.KeyRequest)
		}
		for k := range o.keys {
			if shared && k.Kind == kind {
				out[k.ID] = true
			}
		}
	}
	return out
}

// bruteForce joins by comparing every record with every other.
func (s *shop) bruteForce(base, other Signal, baseClass, otherClass, kind string, anti bool) []string {
	a, b := s.flats(base, baseClass), s.flats(other, otherClass)
	all := append(slices.Clone(a), b...)
	type sums struct {
		first, last, size, n, otherN int64
		failed                       bool
		service                      string
	}
	rows := map[string]*sums{}
	for _, f := range a {
		for id := range rowIDs(f, kind, all) {
			r := rows[id]
			if r == nil {
				r = &sums{first: f.start, last: f.end, service: f.service}
				rows[id] = r
			}
			if f.start < r.first || f.start == r.first && f.service < r.service {
				r.service = f.service
			}
			r.first, r.last = min(r.first, f.start), max(r.last, f.end)
			r.n++
			r.failed = r.failed || f.failed
		}
	}
	for _, f := range b {
		for id := range rowIDs(f, kind, all) {
			if r := rows[id]; r != nil {
				r.otherN++
				r.size += f.size.AsInt()
			}
		}
	}
	var out []string
	for id, r := range rows {
		if (r.otherN > 0) == anti {
			continue
		}
		size := fmt.Sprint(r.size)
		if r.otherN == 0 {
			size = ""
		}
		out = append(out, fmt.Sprintf("%s %d %d %s %v %d %d %s", id, r.first, r.last-r.first, r.service, r.failed, r.n, r.otherN, size))
	}
	sort.Strings(out)
	return out
}

func TestJoinsEqualBruteForce(t *testing.T) {
	found := 0
	for seed := range uint64(25) {
		s := randomShop(seed, 40)
		e := s.engine(Options{})
		r := rand.New(rand.NewPCG(seed, 9))
		for range 12 {
			signals := []Signal{Traces, Logs, Exemplars}
			base, other := signals[r.IntN(3)], signals[r.IntN(3)]
			kind := []string{"trace", "request", "user"}[r.IntN(3)]
			anti := r.IntN(2) == 0
			class := func(signal Signal) (string, string) {
				if signal == Exemplars {
					return "m", ""
				}
				n := fmt.Sprint(r.IntN(3))
				return "{class=" + n + "}", n
			}
			baseText, baseClass := class(base)
			otherText, otherClass := class(other)
			text := fmt.Sprintf("a = %s %s\nb = %s %s\nfrom a %s join b on %s enrich n = count(b), size = sum(b.size)", base, baseText, other, otherText,
				map[bool]string{false: "semi", true: "anti"}[anti], kind)
			p, err := e.Plan(text)
			require.NoError(t, err, text)
			res, err := e.Run(context.Background(), tenant.Default, p, Params{})
			require.NoError(t, err, text)
			var got []string
			for _, row := range res.Rows {
				var cells []string
				for _, v := range row {
					cells = append(cells, v.Text())
				}
				got = append(got, strings.Join(cells, " "))
			}
			sort.Strings(got)
			require.Equal(t, s.bruteForce(base, other, baseClass, otherClass, kind, anti), got, "seed %d: %s", seed, text)
			found += len(got)
		}
	}
	require.Greater(t, found, 500, "the shops must have joins to test")
}

// bookshop is a small history that scripts ask.
func bookshop() *shop {
	s := &shop{spec: model.NewKeySpec(nil)}
	web := &model.Resource{Attrs: model.Attrs{str("service.name", "web")}}
	pay := &model.Resource{Attrs: model.Attrs{str("service.name", "pay")}}
	for n := range 6 {
		var trace model.TraceID
		trace[15] = byte(n + 1)
		span := model.Span{TraceID: trace, Name: "POST /pay", Start: epoch + int64(n)*1e9, End: epoch + int64(n)*1e9 + int64(n+1)*300e6,
			Attrs: model.Attrs{str("user.id", fmt.Sprintf("u%d", n%2)), str("class", "web"), {Key: "retries", Value: model.Int(int64(n))}}}
		span.SpanID[7] = byte(n + 1)
		if n == 4 {
			span.Status = model.StatusError
		}
		s.spans = append(s.spans, model.SpanRow{Resource: web, Span: span})
		if n >= 2 {
			s.logs = append(s.logs, model.LogRow{Resource: pay, LogRecord: model.LogRecord{Time: span.Start + 1e6, TraceID: trace, Severity: 17,
				Body: model.String(fmt.Sprintf("card \"%d\", declined", n)), Attrs: model.Attrs{str("class", "pay")}}})
		}
		s.exemplars = append(s.exemplars, model.ExemplarRow{Series: []model.Label{{Name: "__name__", Value: "latency"}},
			Exemplar: model.Exemplar{Time: span.End, Value: float64(n) / 2, TraceID: trace}})
	}
	s.logs = append(s.logs, model.LogRow{Resource: pay, LogRecord: model.LogRecord{Time: epoch, Body: model.String("no id"), Attrs: model.Attrs{str("class", "pay")}}})
	return s
}

func TestScripts(t *testing.T) {
	e := bookshop().engine(Options{})
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		testkit.RunScript(t, f, func(question string) string {
			mode, text, _ := strings.Cut(question, "\n")
			p, err := e.Plan(text)
			if err != nil {
				return "error: " + err.Error()
			}
			switch mode {
			case "explain":
				return p.Query.String() + "\n" + p.String()
			case "limit 2":
				return draw(e, p, "csv", 2)
			}
			return draw(e, p, mode, 0)
		})
	}
}

func draw(e *Engine, p *Plan, mode string, limit int) string {
	res, err := e.Run(context.Background(), tenant.Default, p, Params{Limit: limit})
	if err != nil {
		return "error: " + err.Error()
	}
	var b bytes.Buffer
	switch mode {
	case "ndjson":
		err = res.WriteNDJSON(context.Background(), &b)
	case "types":
		fmt.Fprint(&b, res.Columns)
	default:
		if err = res.WriteCSV(context.Background(), &b); err == nil {
			for _, w := range res.Warnings {
				fmt.Fprintln(&b, "warning:", w)
			}
		}
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return b.String()
}

func TestArrowHoldsTheSameRows(t *testing.T) {
	s := randomShop(1, 3000)
	e := s.engine(Options{})
	p, err := e.Plan("a = traces {}\nl = logs {}\nfrom a enrich size = first(l.size), body = l.body, s = avg(a.size)")
	require.NoError(t, err)
	res, err := e.Run(context.Background(), tenant.Default, p, Params{})
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, res.WriteArrow(context.Background(), &b))
	r, err := ipc.NewReader(&b)
	require.NoError(t, err)
	defer r.Release()
	n := 0
	for r.Next() {
		rec := r.Record()
		for i := range int(rec.NumRows()) {
			for c := range int(rec.NumCols()) {
				v := res.Rows[n][c]
				require.Equal(t, v.Kind() == model.KindEmpty, rec.Column(c).IsNull(i))
				if typ := res.Columns[c].Type; v.Kind() != model.KindEmpty && typ != TypeTime && typ != TypeDuration && typ != TypeDouble {
					require.Equal(t, v.Text(), rec.Column(c).ValueStr(i))
				}
			}
			n++
		}
	}
	require.Len(t, res.Rows, n)
}

func TestBounds(t *testing.T) {
	s := randomShop(2, 200)
	run := func(o Options, ctx context.Context) error {
		e := s.engine(o)
		p, err := e.Plan("a = traces {}\nl = logs {}\nfrom a anti join l on trace")
		require.NoError(t, err)
		_, err = e.Run(ctx, tenant.Default, p, Params{})
		return err
	}
	ctx := context.Background()
	require.NoError(t, run(Options{}, ctx))
	require.ErrorIs(t, run(Options{MaxIDs: 20}, ctx), model.ErrTooMuch)
	require.ErrorIs(t, run(Options{MaxBytes: 2000}, ctx), model.ErrTooMuch)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, run(Options{}, cancelled), context.Canceled)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"slow = traces { a=b && duration > 1s }\nfrom slow",
		"a = logs {x=\"}\"} |= `|`\n | y # c\nb=exemplars m[5m];from a by user semi join b on user enrich \"a b\" = max(b.\"x y\"), n=count(b)\nwhere not (x > 1.5s or y =~ \"a.*\") and z contains \"q\" and b = true\n| group by a, \"where\" | \"top\" = p99(a), count | sort by a desc, b | top 3 by a bottom 2 by b limit 1 histogram a 7 select a",
		"a = traces {}\nfrom a where x = -1e300 and y != 0.0 and z < 1m30s",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			require.ErrorIs(t, err, model.ErrInvalid)
			return
		}
		again, err := Parse(q.String())
		require.NoError(t, err, q.String())
		require.Equal(t, q.String(), again.String())
	})
}
