package traceql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// brute evaluates a query on one trace straight from its syntax: no plan, no
// predicates, no nested sets. It is the definition that the engine must meet.
type brute struct {
	spans []model.SpanRow
	facts *model.TraceFacts
}

func (b *brute) parent(i int) int {
	for j := range b.spans {
		if j != i && !b.spans[i].ParentID.IsZero() && b.spans[j].SpanID == b.spans[i].ParentID {
			return j
		}
	}
	return -1
}

// values is what an expression is on a span; booleans are values like others.
func (b *brute) values(e Expr, i int) []model.Value {
	switch e := e.(type) {
	case Static:
		if e.Type == TypeNil {
			return nil
		}
		return []model.Value{e.Value}
	case Field:
		return b.field(e, i)
	case Unary:
		if e.Op == "!" {
			return []model.Value{model.Bool(!b.truth(e.X, i))}
		}
		var out []model.Value
		for _, v := range b.values(e.X, i) {
			if f, ok := v.Float(); ok {
				out = append(out, model.Double(-f))
			}
		}
		return out
	case Binary:
		switch e.Op {
		case "&&":
			return []model.Value{model.Bool(b.truth(e.L, i) && b.truth(e.R, i))}
		case "||":
			return []model.Value{model.Bool(b.truth(e.L, i) || b.truth(e.R, i))}
		case "+", "-", "*":
			var out []model.Value
			for _, l := range b.values(e.L, i) {
				for _, r := range b.values(e.R, i) {
					x, xok := l.Float()
					y, yok := r.Float()
					if xok && yok {
						out = append(out, model.Double(map[string]float64{"+": x + y, "-": x - y, "*": x * y}[e.Op]))
					}
				}
			}
			return out
		}
		return []model.Value{model.Bool(b.compare(e, i))}
	}
	panic(fmt.Sprintf("%T", e))
}

func (b *brute) truth(e Expr, i int) bool {
	if f, ok := e.(Field); ok {
		return b.compare(Binary{Op: "=", L: f, R: Static{TypeBool, model.Bool(true)}}, i)
	}
	for _, v := range b.values(e, i) {
		if v == model.Bool(true) {
			return true
		}
	}
	return false
}

func (b *brute) compare(e Binary, i int) bool {
	l := b.values(e.L, i)
	if s, ok := e.R.(Static); ok && s.Type == TypeNil {
		return (len(l) == 0) == (e.Op == "=")
	}
	if a, ok := e.R.(Array); ok {
		any := false
		for _, s := range a {
			any = any || b.compare(Binary{Op: "=", L: e.L, R: s}, i)
		}
		return any == (e.Op == "=") && len(l) > 0
	}
	for _, x := range l {
		for _, y := range b.values(e.R, i) {
			switch e.Op {
			case "=~", "!~":
				m, _ := predicate.NewMatch(predicate.Field{}, y.Str())
				if m.Holds(x) == (e.Op == "=~") {
					return true
				}
			default:
				if (predicate.Compare{Op: compareOps[e.Op], Value: y}).Holds(x) {
					return true
				}
			}
		}
	}
	return false
}

func (b *brute) field(f Field, i int) []model.Value {
	s := &b.spans[i]
	if f.Parent {
		p := b.parent(i)
		if p < 0 {
			return nil
		}
		return b.field(Field{Scope: f.Scope, Name: f.Name}, p)
	}
	one := func(v model.Value, ok bool) []model.Value {
		if !ok {
			return nil
		}
		return []model.Value{v}
	}
	switch f {
	case intrinsic(inNestedParent):
		if s.ParentID.IsZero() {
			return one(model.Int(-1), true)
		}
		return one(model.Int(1), true) // only compared with 0 here
	case intrinsic(inChildCount):
		n := 0
		for j := range b.spans {
			if b.parent(j) == i {
				n++
			}
		}
		return one(model.Int(int64(n)), true)
	case intrinsic(inStatusMessage):
		return one(model.String(s.StatusMessage), true)
	case intrinsic(inName):
		return one(model.String(s.Name), true)
	case intrinsic(inDuration):
		return one(model.Int(s.Duration()), true)
	case intrinsic(inStatus):
		return one(model.String(s.Status.String()), true)
	case intrinsic(inKind):
		return one(model.String(s.Kind.String()), true)
	case intrinsic(inRootName):
		return one(model.String(b.facts.RootName), b.facts.RootName != "")
	case intrinsic(inEventName):
		var out []model.Value
		for _, e := range s.Events {
			out = append(out, model.String(e.Name))
		}
		return out
	}
	switch f.Scope {
	case ScopeSpan:
		return one(s.Attrs.Get(f.Name))
	case ScopeResource:
		return one(s.Resource.Attrs.Get(f.Name))
	case ScopeNone:
		if v, ok := s.Attrs.Get(f.Name); ok {
			return one(v, true)
		}
		return one(s.Resource.Attrs.Get(f.Name))
	}
	panic("the generator makes no " + f.String())
}

func (b *brute) related(op string, a, c int) bool {
	switch op {
	case ">":
		return b.parent(c) == a
	case ">>":
		for p := b.parent(c); p >= 0; p = b.parent(p) {
			if p == a {
				return true
			}
		}
		return false
	case "<", "<<":
		return b.related(strings.ReplaceAll(op, "<", ">"), c, a)
	}
	return a != c && !b.spans[a].ParentID.IsZero() && b.spans[a].ParentID == b.spans[c].ParentID
}

func (b *brute) stage(s Stage, in []int) []int {
	switch s := s.(type) {
	case SpansetFilter:
		var out []int
		for _, i := range in {
			if s.Expr == nil || b.truth(s.Expr, i) {
				out = append(out, i)
			}
		}
		return out
	case *Pipeline:
		for _, x := range s.Stages {
			in = b.stage(x, in)
		}
		return in
	case ScalarFilter: // the generator compares count() with a number
		n, _ := s.R.(ScalarStatic).Value.Float()
		if holds, _ := compareValues(s.Op, model.Double(float64(len(in))), model.Double(n)); !holds {
			return nil
		}
		return in
	case SpansetOp:
		l, r := b.stage(s.L, in), b.stage(s.R, in)
		if s.Op == "||" || s.Op == "&&" && len(l) > 0 && len(r) > 0 {
			out := append(slices.Clone(l), r...)
			slices.Sort(out)
			return slices.Compact(out)
		} else if s.Op == "&&" {
			return nil
		}
		op := strings.TrimLeft(s.Op, "!&")
		var out []int
		for _, c := range r {
			any := false
			for _, a := range l {
				any = any || b.related(op, a, c)
			}
			if any != strings.HasPrefix(s.Op, "!") {
				out = append(out, c)
				if strings.HasPrefix(s.Op, "&") {
					for _, a := range l {
						if b.related(op, a, c) {
							out = append(out, a)
						}
					}
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	panic(fmt.Sprintf("%T", s))
}

// randomTraces makes small traces with orphans, several roots and values of
// every type.
func randomTraces(r *rand.Rand) []model.SpanRow {
	var rows []model.SpanRow
	for tr := range 3 + r.IntN(6) {
		n := 1 + r.IntN(9)
		ids := make([]model.SpanID, n)
		for i := range n {
			row := model.SpanRow{Resource: &model.Resource{}, Scope: &model.Scope{}}
			row.TraceID[15], row.SpanID[7], row.SpanID[6] = byte(tr+1), byte(i+1), 7
			ids[i] = row.SpanID
			if i > 0 && r.IntN(8) > 0 {
				row.ParentID = ids[r.IntN(i)]
			} else if r.IntN(4) == 0 {
				row.ParentID[0] = 0xee
			}
			row.Name = string(rune('a' + r.IntN(4)))
			row.Start = epoch + int64(tr)*1e9 + int64(i)*1e6
			row.End = row.Start + r.Int64N(5)*1e6
			row.Kind, row.Status = model.SpanKind(r.IntN(6)), model.StatusCode(r.IntN(3))
			if r.IntN(4) == 0 {
				row.StatusMessage = "m"
			}
			for _, k := range []string{"x", "y"} {
				if r.IntN(3) > 0 {
					row.Attrs = append(row.Attrs, model.Attr{Key: k, Value: randomValue(r)})
				}
				if r.IntN(3) == 0 {
					row.Resource.Attrs = append(row.Resource.Attrs, model.Attr{Key: k, Value: randomValue(r)})
				}
			}
			for range r.IntN(3) {
				row.Events = append(row.Events, model.SpanEvent{Name: string(rune('a' + r.IntN(3)))})
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func randomValue(r *rand.Rand) model.Value {
	switch r.IntN(5) {
	case 0:
		return model.String(string(rune('a' + r.IntN(3))))
	case 1:
		return model.Double(float64(r.IntN(4)))
	case 2:
		return model.Bool(r.IntN(2) == 0)
	case 3:
		return model.ArrayJSON([]string{`["a","b"]`, `[1,2]`, `[]`, `[true]`}[r.IntN(4)])
	}
	return model.Int(int64(r.IntN(4)))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomCondition(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(2) == 0 {
		l, x := randomCondition(r, depth-1), randomCondition(r, depth-1)
		return pick(r, "("+l+" && "+x+")", "("+l+" || "+x+")", "!("+l+")", "!("+l+") && "+x)
	}
	attr := pick(r, ".x", ".y", "span.x", "resource.y", "parent.x", "parent.span.y")
	op := pick(r, "=", "!=", "<", "<=", ">", ">=")
	switch r.IntN(14) {
	case 0:
		return attr + pick(r, " = nil", " != nil")
	case 1:
		return attr + pick(r, " = ", " != ") + pick(r, "true", "false", `["a", 1]`, `[2, "b", true]`)
	case 2:
		return attr + pick(r, " =~ ", " !~ ") + pick(r, `"a|1"`, `"[ab]"`, `".*"`, `"t.*"`)
	case 3:
		return attr + " " + op + " " + pick(r, ".y", "resource.x", ".x + 1", "2 * .y - 1")
	case 4:
		return "name" + pick(r, " = ", " != ", " =~ ", " !~ ") + pick(r, `"a"`, `"b"`)
	case 5:
		return "duration " + op + " " + pick(r, "2ms", "1ms", "duration", "2000000")
	case 6:
		return "status" + pick(r, " = ", " != ") + pick(r, "ok", "error", "unset")
	case 7:
		return "kind" + pick(r, " = ", " != ") + pick(r, "server", "client", "unspecified")
	case 8:
		return pick(r, "nestedSetParent < 0", "nestedSetParent >= 0", "span:childCount "+op+" 1")
	case 9:
		return "statusMessage" + pick(r, ` = "m"`, ` != "m"`, ` = ""`, ` != ""`, ` =~ "m?"`, ` !~ "m"`, ` > ""`)
	case 10:
		return "event:name" + pick(r, ` = "a"`, ` != "a"`, ` =~ "a|b"`, ` = nil`)
	case 11:
		return attr
	case 12:
		return "rootName" + pick(r, ` = "a"`, ` != "a"`, ` = nil`)
	}
	return attr + " " + op + " " + pick(r, "1", "2.0", `"a"`, `"b"`, "-1 + 2")
}

func randomSpanset(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		return "{ " + randomCondition(r, r.IntN(3)) + " }"
	}
	if r.IntN(5) == 0 {
		return "(" + randomPipeline(r, depth-1) + ")"
	}
	op := pick(r, "&&", "||", ">>", "<<", ">", "<", "~", "!>>", "!<<", "!>", "!<", "!~", "&>>", "&<<", "&>", "&<", "&~")
	return "(" + randomSpanset(r, depth-1) + " " + op + " " + randomSpanset(r, depth-1) + ")"
}

func randomPipeline(r *rand.Rand, depth int) string {
	s := randomSpanset(r, depth)
	for range r.IntN(3) {
		if r.IntN(2) == 0 {
			s += " | count() " + pick(r, ">", "<", "=", "!=", ">=") + " " + pick(r, "1", "2", "3")
		} else {
			s += " | " + randomSpanset(r, 0)
		}
	}
	return s
}

// TestSearchMeetsTheDefinition compares the engine with brute on random traces
// and random queries.
func TestSearchMeetsTheDefinition(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	answered := 0
	for range 40 {
		rows := randomTraces(r)
		src := testkit.NewMemTraces()
		src.Add(testTenant, rows...)
		e := NewEngine(Options{Source: src})
		for range 50 {
			text := randomPipeline(r, 2)
			q, err := Parse(text)
			require.NoError(t, err, text)
			res, err := e.Search(context.Background(), testTenant, Params{Query: text, Limit: 100, SpansPerSet: -1})
			require.NoError(t, err, text)
			want := bruteSearch(rows, q)
			got := map[byte]string{}
			for _, tr := range res.Traces {
				var b strings.Builder
				for _, s := range tr.SpanSets[0].Spans {
					fmt.Fprintf(&b, " %d", s.ID[7])
				}
				got[tr.ID[15]] = b.String()
			}
			answered += len(want)
			require.Equal(t, want, got, "seed %d\n%s\n%s", seed, text, explain(e, text))
		}
	}
	require.Greater(t, answered, 500, "the random queries find too little to prove anything")
}

func explain(e *Engine, text string) string {
	s, err := e.Explain(text)
	if err != nil {
		return err.Error()
	}
	return s
}

func bruteSearch(rows []model.SpanRow, q *Query) map[byte]string {
	traces := map[byte]*brute{}
	for i := range rows {
		b := traces[rows[i].TraceID[15]]
		if b == nil {
			b = &brute{facts: &model.TraceFacts{}}
			traces[rows[i].TraceID[15]] = b
		}
		b.spans = append(b.spans, rows[i])
		b.facts.Add(&rows[i])
	}
	out := map[byte]string{}
	for id, b := range traces {
		all := make([]int, len(b.spans))
		for i := range all {
			all[i] = i
		}
		var text strings.Builder
		for _, i := range b.stage(q.Pipeline, all) {
			fmt.Fprintf(&text, " %d", b.spans[i].SpanID[7])
		}
		if text.Len() > 0 {
			out[id] = text.String()
		}
	}
	return out
}

// TestMetricsMeetSearch: what the source counts is what evaluating spans here
// counts, and what a search finds.
func TestMetricsMeetSearch(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 12 {
		src := testkit.NewMemTraces()
		src.Add(testTenant, randomTraces(r)...)
		e := NewEngine(Options{Source: src})
		for range 15 {
			filter := "{ " + randomCondition(r, 2) + " }"
			ctx := context.Background()
			p := MetricsParams{Start: epoch, End: epoch + 10e9, Step: 1e9}
			found, err := e.Search(ctx, testTenant, Params{Query: filter, Limit: 100, SpansPerSet: -1})
			require.NoError(t, err)
			want := 0
			for _, tr := range found.Traces {
				want += tr.SpanSets[0].Matched
			}
			for _, fn := range []string{"count_over_time() by(name, .x)", "quantile_over_time(.y, .5) by(kind)", "sum_over_time(duration)", "histogram_over_time(duration)"} {
				p.Query = filter + " | " + fn
				pushed, err := e.MetricsRange(ctx, testTenant, p)
				require.NoError(t, err)
				p.Query = "(" + filter + " && " + filter + ") | " + fn
				here, err := e.MetricsRange(ctx, testTenant, p)
				require.NoError(t, err)
				require.Equal(t, showSeries(pushed), showSeries(here), "seed %d %s", seed, p.Query)
				if strings.HasPrefix(fn, "count") || strings.HasPrefix(fn, "hist") {
					total := 0.0
					for _, s := range pushed.Series {
						for _, x := range s.Samples {
							total += x.Value
						}
					}
					require.Equal(t, float64(want), total, "seed %d %s", seed, p.Query)
				}
			}
		}
	}
}
