package logql_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

func BenchmarkParse(b *testing.B) {
	for _, q := range []string{
		`{service_name="api"} |= "timeout"`,
		`sum by (detected_level) (count_over_time({service_name="api"} | json | logfmt | drop __error__, __error_details__ | status >= 500 [1m]))`,
	} {
		b.Run(fmt.Sprint(len(q)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := logql.Parse(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchRows(n int) []model.LogRow {
	res := &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("api")}, {Key: "k8s.pod.name", Value: model.String("api-1")}}}
	rows := make([]model.LogRow, n)
	for i := range rows {
		row := model.LogRow{Resource: res, LogRecord: model.LogRecord{Time: int64(i+1) * 1e6, Severity: 9}}
		for k := range 12 {
			row.Attrs = append(row.Attrs, model.Attr{Key: fmt.Sprint("attribute.", k), Value: model.String(fmt.Sprint("value ", i%7))})
		}
		row.Body = model.String(fmt.Sprintf(`{"level":"info","msg":"request served","status":%d,"took":"%dms","req":{"id":"r-%d","path":"/a/b"}}`, 200+i%5*75, i%300, i))
		if i%2 == 1 {
			row.Body = model.String(fmt.Sprintf(`level=info msg="request served" status=%d took=%dms req_id=r-%d path=/a/b`, 200+i%5*75, i%300, i))
		}
		rows[i] = row
	}
	return rows
}

// BenchmarkPipeline runs stages over a row: ns and allocations are per row.
func BenchmarkPipeline(b *testing.B) {
	rows := benchRows(1024)
	for _, q := range []string{
		`|= "served"`, `| attribute_3="value 1"`, `| json | status >= 500`, `| logfmt | status >= 500`,
		`| json | took > 200ms | line_format "{{.status}} {{.msg}}"`, `| regexp "status[=\":]+(?P<status>[0-9]+)" | status="500"`,
		`| pattern "<_>status=<status> <_>" | status="500"`,
	} {
		b.Run(q, func(b *testing.B) {
			sel, err := logql.ParseSelection("{} " + q)
			if err != nil {
				b.Fatal(err)
			}
			count, err := logql.NewCounter(sel)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				count.Passes(&rows[i%len(rows)])
			}
		})
	}
}

func BenchmarkRangeFromRows(b *testing.B) {
	mem := &testkit.MemLog{BatchSize: 1000}
	mem.Append(tenant.Default, benchRows(20_000)...)
	e := logql.NewEngine(logql.Options{Source: mem})
	for _, q := range []string{`rate({service_name="api"}[5s])`, `sum by (status) (count_over_time({} | json | __error__="" [5s]))`} {
		b.Run(q, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Query(context.Background(), tenant.Default, logql.Params{Expr: q, Start: time.Unix(5, 0), End: time.Unix(20, 0), Step: time.Second}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// groupsSource counts without looking.
type groupsSource struct {
	query.LogSource
	agg *model.Aggregate
}

func (g groupsSource) AggregateLogs(context.Context, *predicate.Aggregation) (*model.Aggregate, error) {
	return g.agg, nil
}

func BenchmarkTopOfManyGroups(b *testing.B) {
	agg := &model.Aggregate{Buckets: 1}
	for i := range 50_000 {
		agg.Groups = append(agg.Groups, model.AggGroup{Key: []model.Value{model.String(fmt.Sprint("user-", i))}, Cells: []model.Cell{{Count: uint64(i * 7919 % 1000)}}})
	}
	e := logql.NewEngine(logql.Options{Source: groupsSource{agg: agg}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Query(context.Background(), tenant.Default, logql.Params{Expr: `topk(10, sum by (user_id) (count_over_time({}[1h])))`, Instant: true, End: time.Unix(1e9, 0)}); err != nil {
			b.Fatal(err)
		}
	}
}
