package tracestore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// appendRows appends each span in a request of its own.
func appendRows(t *testing.T, s *Store, from model.Position, rows []model.SpanRow) {
	t.Helper()
	for i, r := range rows {
		_, err := s.AppendSpans(context.Background(), acme, from+model.Position(i), &model.Spans{
			Batches: []model.SpanBatch{{Resource: r.Resource, Scope: r.Scope, Spans: []model.Span{r.Span}}},
		})
		require.NoError(t, err)
	}
}

// TestQuestions asks the questions of testdata/questions.txt of the shop's
// traces wherever they lie: the answers are the same.
func TestQuestions(t *testing.T) {
	shop := testkit.Shop()
	for name, fill := range map[string]func(t *testing.T, s *Store){
		"head": func(t *testing.T, s *Store) { appendRows(t, s, 1, shop) },
		"block": func(t *testing.T, s *Store) {
			appendRows(t, s, 1, shop)
			require.NoError(t, s.Flush(context.Background()))
		},
		"split": func(t *testing.T, s *Store) {
			appendRows(t, s, 1, shop[:3])
			require.NoError(t, s.Flush(context.Background()))
			appendRows(t, s, 4, shop[3:6])
			require.NoError(t, s.Flush(context.Background()))
			appendRows(t, s, 7, append(slices.Clone(shop[6:]), shop[0], shop[5])) // retries, too
		},
		"merged": func(t *testing.T, s *Store) {
			for i := range shop {
				appendRows(t, s, model.Position(i+1), shop[i:i+1])
				require.NoError(t, s.Flush(context.Background()))
			}
			require.NoError(t, s.Maintain(context.Background()))
			require.Len(t, s.tenant(acme, true).blocks(), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{})
			defer func() { require.NoError(t, s.Close()) }()
			fill(t, s)
			testkit.RunScript(t, "testdata/questions.txt", func(q string) string { return ask(s, q) })
		})
	}
}

// conditions are the filters that the script names.
var conditions = map[string]predicate.Expr{
	"error":     predicate.Compare{Field: predicate.Intrinsic(predicate.Status), Value: model.String("error")},
	"front":     predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeResource, Name: "service.name"}, Value: model.String("front")},
	"code>=400": predicate.Compare{Field: predicate.Field{Name: "http.response.status_code"}, Op: predicate.Gte, Value: model.Int(400)},
	"slow":      predicate.Compare{Field: predicate.Intrinsic(predicate.Duration), Op: predicate.Gt, Value: model.Int(1e9)},
	"empty":     predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeEvent, Name: "exception.type"}, Value: model.String("Empty")},
	"u1":        predicate.Correlated{Kind: model.KeyUser, ID: "u1"},
	"rooted":    predicate.Exists{Field: predicate.Field{Scope: predicate.ScopeTrace, Name: predicate.RootName}},
	"linked":    predicate.Exists{Field: predicate.Field{Scope: predicate.ScopeLink, Name: "why"}},
	"tag=b":     predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeRecord, Name: "tags"}, Value: model.String("b")},
}

// ask answers one question of the script: a verb and its words.
func ask(s *Store, question string) string {
	ctx := context.Background()
	words := strings.Fields(question)
	var b strings.Builder
	fail := func(err error) string { return "error: " + err.Error() }
	switch words[0] {
	case "trace":
		id, _ := model.ParseTraceID(words[1])
		for rows, err := range s.Trace(ctx, acme, id, nil) {
			if err != nil {
				return fail(err)
			}
			for _, r := range rows {
				fmt.Fprintf(&b, "%s %s %+v\n", r.Resource.Service(), r.Scope.Name, r.Span)
			}
		}
	case "select", "tree":
		q := &predicate.SpanQuery{Tenant: acme, Tree: words[0] == "tree", Limit: 10}
		for _, w := range words[1:] {
			switch {
			case w == "all":
				q.Require = []uint64{1<<len(q.Filters) - 1}
			case w == "oldest":
				q.Order = predicate.OldestFirst
			case w == "longest":
				q.Order = predicate.LongestFirst
			default:
				q.Filters = append(q.Filters, conditions[w])
			}
		}
		for m, err := range s.SelectSpans(ctx, q) {
			if err != nil {
				return fail(err)
			}
			f := m.Facts
			fmt.Fprintf(&b, "%x root=%q of %q spans=%d errors=%d took=%dms services=%v\n", f.ID[15:], f.RootName, f.RootService, f.Spans, f.Errors, (f.End-f.Start)/1e6, f.Services)
			for _, r := range m.Spans {
				fmt.Fprintf(&b, "  %x %s match=%b\n", r.SpanID[7:], r.Name, r.Match)
			}
		}
	case "count":
		q := &predicate.Aggregation{Tenant: acme, Filter: conditions[words[1]], Measure: predicate.Numbers, Of: predicate.Intrinsic(predicate.Duration)}
		for _, w := range words[2:] {
			q.By = append(q.By, predicate.Field{Name: w})
		}
		a, err := s.AggregateSpans(ctx, q)
		if err != nil {
			return fail(err)
		}
		var lines []string
		for _, g := range a.Groups {
			c := g.Cells[0]
			lines = append(lines, fmt.Sprintf("%v count=%d sum=%gms max=%gms", texts(g.Key), c.Count, c.Sum/1e6, c.Max/1e6))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, "\n"))
	case "fields", "values":
		q := &predicate.FieldQuery{Tenant: acme}
		if words[0] == "values" {
			q.Field = &predicate.Field{Name: words[1]}
		}
		got, err := s.SpanFields(ctx, q)
		if err != nil {
			return fail(err)
		}
		for _, f := range got {
			fmt.Fprintf(&b, "%s kind=%d %s count=%d\n", f.Field, f.Kind, f.Value.Text(), f.Count)
		}
	case "graph":
		g, err := s.ServiceGraph(ctx, acme, model.TimeRange{}, nil)
		if err != nil {
			return fail(err)
		}
		for _, e := range g.Edges {
			fmt.Fprintln(&b, e)
		}
		for _, x := range g.Services {
			fmt.Fprintf(&b, "%s spans=%d errors=%d requests=%d failed=%d p50=%.0fms lonely=%v\n", x.Name, x.Spans, x.Errors, x.Requests, x.RequestErrors, x.Latency.Sketch().Quantile(0.5)/1e6, x.Lonely)
		}
	}
	return b.String()
}

func texts(v []model.Value) []string {
	out := make([]string, len(v))
	for i := range v {
		out[i] = v[i].Text()
	}
	return out
}

// TestFlushSyncsBeforeItPublishes holds the order of what a flush and a merge
// do to the disk: a missing sync is a difference in the file.
func TestFlushSyncsBeforeItPublishes(t *testing.T) {
	var mu sync.Mutex
	var ops []string
	ids := map[string]string{}
	fsys := vfs.WithFaults(vfs.NewCrashable(), func(op vfs.Op) error {
		switch op.Kind {
		case "read", "open", "stat", "write", "readdir":
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		line := op.String()
		for _, part := range strings.FieldsFunc(line, func(r rune) bool { return r == '/' || r == ' ' || r == '-' }) {
			if len(part) == 26 {
				if ids[part] == "" {
					ids[part] = fmt.Sprintf("<block %d>", len(ids)+1)
				}
				line = strings.ReplaceAll(line, part, ids[part])
			}
		}
		ops = append(ops, line)
		return nil
	})
	s := open(t, Options{FS: fsys})
	shop := testkit.Shop()
	take := func() string {
		mu.Lock()
		defer mu.Unlock()
		out := strings.Join(ops, "\n")
		ops = nil
		return out
	}
	testkit.RunScript(t, "testdata/disk.txt", func(q string) string {
		switch q {
		case "flush":
			take()
			appendRows(t, s, 1, shop[:3])
			require.NoError(t, s.Flush(context.Background()))
		case "merge":
			appendRows(t, s, 4, shop[3:])
			require.NoError(t, s.Flush(context.Background()))
			take()
			ten := s.tenant(acme, true)
			require.NoError(t, ten.mergeBlocks(context.Background(), ten.blocks()))
		}
		return take()
	})
	require.NoError(t, s.Close())
}

// TestVersion1Opens opens a data folder that version 1 of the format wrote.
func TestVersion1Opens(t *testing.T) {
	const golden = "testdata/v1"
	if os.Getenv("REWRITE") == "v1" {
		require.NoError(t, os.RemoveAll(golden))
		s, err := Open(Options{Dir: golden, Manual: true})
		require.NoError(t, err)
		appendRows(t, s, 1, testkit.Shop())
		require.NoError(t, s.Close())
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(golden)))
	s, err := Open(Options{Dir: dir, Manual: true})
	require.NoError(t, err)
	require.Len(t, s.tenant(acme, true).blocks(), 1, filepath.Join(dir, string(acme)))
	testkit.RunScript(t, "testdata/questions.txt", func(q string) string { return ask(s, q) })
	require.NoError(t, s.Close())
}
