package promapi

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// fusedLabel names the place holders that stand in a rewritten query for the
// parts that are evaluated here. No series carries it: names that begin with
// two underscores are Prometheus's own.
const fusedLabel = "__braid_fused__"

// fusedSum is a part of a query that one pass over the samples answers:
// sum [by|without (…)] (rate|increase(metric{…}[range] [offset])).
type fusedSum struct {
	matchers []*labels.Matcher
	window   time.Duration
	offset   time.Duration
	isRate   bool
	grouping []string
	without  bool
}

// counterSuffixes are the names that rate() takes for counters; of others it
// says so in a note, which only the engine can word.
var counterSuffixes = []string{"_total", "_sum", "_count", "_bucket"}

// planFusion finds such parts, replaces them by place holders and returns the
// query so rewritten. Nothing below a subquery is touched: it has steps of its
// own.
func planFusion(expr parser.Expr) (rewritten parser.Expr, sums []*fusedSum) {
	var visit func(parser.Expr) parser.Expr
	visit = func(e parser.Expr) parser.Expr {
		switch n := e.(type) {
		case *parser.AggregateExpr:
			if f := fusable(n); f != nil {
				sums = append(sums, f)
				return placeHolder(len(sums) - 1)
			}
			n.Expr = visit(n.Expr)
		case *parser.BinaryExpr:
			n.LHS, n.RHS = visit(n.LHS), visit(n.RHS)
		case *parser.Call:
			if takesSelector[n.Func.Name] {
				return e
			}
			for i := range n.Args {
				n.Args[i] = visit(n.Args[i])
			}
		case *parser.ParenExpr:
			n.Expr = visit(n.Expr)
		case *parser.UnaryExpr:
			n.Expr = visit(n.Expr)
		}
		return e
	}
	rewritten = visit(expr)
	return rewritten, sums
}

// takesSelector are functions that treat a selector otherwise than any other
// instant vector: a place holder must not come to stand there.
var takesSelector = map[string]bool{
	"timestamp": true, "absent": true, "info": true, "start_timestamp": true,
}

func placeHolder(n int) parser.Expr {
	return &parser.VectorSelector{LabelMatchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, fusedLabel, strconv.Itoa(n))}}
}

func fusable(a *parser.AggregateExpr) *fusedSum {
	if a.Op != parser.SUM || a.Param != nil {
		return nil
	}
	inner := a.Expr
	for {
		p, ok := inner.(*parser.ParenExpr)
		if !ok {
			break
		}
		inner = p.Expr
	}
	call, ok := inner.(*parser.Call)
	if !ok || call.Func.Name != "rate" && call.Func.Name != "increase" || len(call.Args) != 1 {
		return nil
	}
	ms, ok := call.Args[0].(*parser.MatrixSelector)
	if !ok || ms.RangeExpr != nil || ms.Range <= 0 {
		return nil
	}
	vs, ok := ms.VectorSelector.(*parser.VectorSelector)
	if !ok || vs.Anchored || vs.Smoothed || vs.Timestamp != nil || vs.StartOrEnd != 0 || vs.OriginalOffsetExpr != nil || !countsSurely(vs) {
		return nil
	}
	for _, g := range a.Grouping {
		if g == labels.MetricName {
			return nil
		}
	}
	return &fusedSum{matchers: vs.LabelMatchers, window: ms.Range, offset: vs.OriginalOffset, isRate: call.Func.Name == "rate",
		grouping: a.Grouping, without: a.Without}
}

func countsSurely(vs *parser.VectorSelector) bool {
	for _, m := range vs.LabelMatchers {
		if m.Name != labels.MetricName || m.Type != labels.MatchEqual {
			continue
		}
		for _, s := range counterSuffixes {
			if strings.HasSuffix(m.Value, s) {
				return true
			}
		}
	}
	return false
}

// steps are the evaluation times of a query, Unix ms.
type steps struct{ start, end, step int64 }

func (s steps) count() int {
	if s.step <= 0 {
		return 1
	}
	n := (s.end - s.start) / s.step
	if n < 0 || n >= math.MaxInt32 {
		return 0
	}
	return int(n) + 1
}

func (s steps) at(i int) int64 { return s.start + int64(i)*s.step }
