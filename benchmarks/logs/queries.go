package logs

import (
	"context"
	"fmt"

	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// Tenant owns the records of the benchmark.
const Tenant tenant.ID = "bench"

// Query is one line of the table: it returns how many rows, or groups, there
// were.
type Query struct {
	Name string
	Run  func(ctx context.Context, s *logstore.Store, st *model.QueryStats) (int, error)
}

// Known are values that occur in what was written, for the queries that ask for
// one of them.
type Known struct {
	User, Request, Service string
	Trace                  model.TraceID
	End                    int64

	users map[string]int
}

// Note takes known values from a batch.
func (k *Known) Note(l *model.Logs) {
	for i := range l.Batches {
		b := &l.Batches[i]
		for j := range b.Records {
			r := &b.Records[j]
			k.End = max(k.End, r.Time+1)
			if !r.TraceID.IsZero() {
				k.Trace = r.TraceID
				k.Request = r.Attrs.Text("request.id")
			}
			if k.users == nil {
				k.users = map[string]int{}
			}
			k.users[r.Attrs.Text("user.id")]++
		}
	}
}

// userRows is how many records the user has that the queries ask for.
const userRows = 50

// Choose picks the values to ask for when all is noted.
func (k *Known) Choose() {
	k.Service = "payment"
	best := -1
	for name, n := range k.users {
		if d := max(n-userRows, userRows-n); best < 0 || d < best || d == best && name < k.User {
			k.User, best = name, d
		}
	}
	k.users = nil
}

func attr(name, value string) predicate.Expr {
	return predicate.Compare{Field: predicate.Field{Name: name}, Op: predicate.Eq, Value: model.String(value)}
}

func text(mode predicate.TextMode, q string, fold bool) predicate.Expr {
	t, err := predicate.NewText(predicate.Intrinsic(predicate.Body), mode, q, fold)
	if err != nil {
		panic(fmt.Sprintf("query %q of the benchmark: %v", q, err))
	}
	return t
}

// Queries are the questions of the table.
func Queries(k Known) []Query {
	count := func(name string, f predicate.Expr) Query {
		return Query{name, func(ctx context.Context, s *logstore.Store, st *model.QueryStats) (int, error) {
			a, err := s.AggregateLogs(ctx, &predicate.Aggregation{Tenant: Tenant, Filter: f, Stats: st})
			if err != nil || len(a.Groups) == 0 {
				return 0, err
			}
			return int(a.Groups[0].Cells[0].Count), nil
		}}
	}
	newest := func(name string, f predicate.Expr) Query {
		return Query{name, func(ctx context.Context, s *logstore.Store, st *model.QueryStats) (int, error) {
			n := 0
			for rows, err := range s.SelectLogs(ctx, &predicate.LogQuery{Tenant: Tenant, Filter: f, Limit: 100, Stats: st}) {
				if err != nil {
					return n, err
				}
				n += len(rows)
			}
			return n, nil
		}}
	}
	group := func(name string, q predicate.Aggregation) Query {
		return Query{name, func(ctx context.Context, s *logstore.Store, st *model.QueryStats) (int, error) {
			q := q
			q.Tenant, q.Stats = Tenant, st
			a, err := s.AggregateLogs(ctx, &q)
			if err != nil {
				return 0, err
			}
			return len(a.Groups), nil
		}}
	}
	all := model.TimeRange{Start: Start, End: k.End}
	return []Query{
		newest("rare word, rows", text(predicate.Word, RareWord, false)),
		count("frequent word, count", text(predicate.Word, "INFO", false)),
		count("frequent substring, count", text(predicate.Contains, "INFO", false)),
		newest("frequent word, newest 100", text(predicate.Word, "INFO", false)),
		count("phrase, count", text(predicate.Word, "connection timeout", false)),
		count("substring, count", text(predicate.Contains, "cketRespon", false)),
		count("digit substring, count", text(predicate.Contains, "_12345", false)),
		count("regexp with a literal, count", text(predicate.Regexp, `PacketResponder \d+ for block blk_\d+7`, false)),
		count("regexp without a literal, count", text(predicate.Regexp, `\d{3}\.\d{2}\s`, false)),
		count("word ignoring case, count", text(predicate.Word, "error", true)),
		newest("user id, rows", attr("user.id", k.User)),
		newest("request id", attr("request.id", k.Request)),
		newest("trace id", predicate.Correlated{Kind: model.KeyTrace, ID: k.Trace.String()}),
		newest("service and severity, newest 100", predicate.And{attr("service.name", k.Service),
			predicate.Compare{Field: predicate.Intrinsic(predicate.Severity), Op: predicate.Gte, Value: model.Int(17)}}),
		newest("newest 100 of all", nil),
		group("histogram by severity", predicate.Aggregation{Range: all, Step: max(1, (k.End-Start)/60), By: []predicate.Field{predicate.Intrinsic(predicate.Severity)}}),
		group("top 10 routes", predicate.Aggregation{By: []predicate.Field{{Name: "http.route"}}}),
		group("top 10 users", predicate.Aggregation{By: []predicate.Field{{Name: "user.id"}}, MaxGroups: 200_000}),
		group("quantile by service", predicate.Aggregation{By: []predicate.Field{{Name: "service.name"}}, Measure: predicate.Quantiles, Of: predicate.Field{Name: "duration_ms"}}),
	}
}
