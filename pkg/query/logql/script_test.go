package logql_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

var rewrite = flag.Bool("rewrite", false, "write the answers into testdata instead of comparing them")

// A script in testdata/*.script is a list of blocks, separated by blank lines:
//
//	data                    records to add, one a line:
//	<seconds> <json>        {"res":{…},"scope":"name","attrs":{…},"sev":9,"trace":"hex","body":"line"}
//
//	query <kind> [start=s end=s step=d limit=n dir=forward at=s]
//	<the query, one line or more>
//	----
//	<the answer>
//
// kind is logs, range, instant or error. Every query is asked with and without
// pushing down to the source; both must give the answer written.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.script")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".script"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	mem := &testkit.MemLog{}
	engines := []*logql.Engine{logql.NewEngine(logql.Options{Source: mem}), logql.NewEngine(logql.Options{Source: mem, FullScan: true})}
	var out []string
	for _, block := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n\n") {
		head, rest, _ := strings.Cut(block, "\n")
		switch {
		case head == "data":
			addData(t, mem, rest)
			out = append(out, block)
		case strings.HasPrefix(head, "query "):
			text, want, _ := strings.Cut(rest, "\n----\n")
			text = strings.TrimSuffix(text, "\n----")
			got := answer(t, engines[0], head, text)
			out = append(out, strings.TrimRight(head+"\n"+text+"\n----\n"+got, "\n"))
			if *rewrite {
				continue
			}
			require.Equal(t, strings.TrimRight(want, "\n"), got, "%s\n%s", head, text)
			require.Equal(t, got, answer(t, engines[1], head, text), "without pushing down: %s\n%s", head, text)
		default:
			out = append(out, block)
		}
	}
	if *rewrite {
		require.NoError(t, os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644))
	}
}

type scriptRecord struct {
	Res   map[string]any `json:"res"`
	Scope string         `json:"scope"`
	Attrs map[string]any `json:"attrs"`
	Sev   uint8          `json:"sev"`
	Trace string         `json:"trace"`
	Body  string         `json:"body"`
}

func addData(t *testing.T, mem *testkit.MemLog, text string) {
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		at, js, _ := strings.Cut(sc.Text(), " ")
		sec, err := strconv.ParseFloat(at, 64)
		require.NoError(t, err, sc.Text())
		var r scriptRecord
		require.NoError(t, json.Unmarshal([]byte(js), &r), sc.Text())
		row := model.LogRow{
			Resource:  &model.Resource{Attrs: attrsOf(r.Res)},
			LogRecord: model.LogRecord{Time: int64(sec * 1e9), Body: model.String(r.Body), Attrs: attrsOf(r.Attrs), Severity: model.SeverityNumber(r.Sev)},
		}
		if r.Scope != "" {
			row.Scope = &model.Scope{Name: r.Scope}
		}
		row.TraceID, _ = model.ParseTraceID(r.Trace)
		mem.Append(tenant.Default, row)
	}
}

func attrsOf(m map[string]any) (out model.Attrs) {
	for _, k := range sortedKeys(m) {
		raw, _ := json.Marshal(m[k])
		out = append(out, model.Attr{Key: k, Value: model.FromJSON(raw)})
	}
	return out
}

func answer(t *testing.T, g *logql.Engine, head, text string) string {
	words := strings.Fields(head)[1:]
	p := logql.Params{Expr: text, Start: time.Unix(0, 0), End: time.Unix(600, 0), Step: time.Minute, Limit: 1000, Direction: logql.Forward}
	p.Instant = words[0] == "instant"
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		n, _ := strconv.ParseFloat(v, 64)
		at := time.Unix(0, int64(n*1e9))
		switch k {
		case "start":
			p.Start = at
		case "end", "at":
			p.End = at
		case "step":
			p.Step, _ = time.ParseDuration(v)
		case "interval":
			p.Interval, _ = time.ParseDuration(v)
		case "limit":
			p.Limit = int(n)
		case "dir":
			if v == "backward" {
				p.Direction = logql.Backward
			}
		default:
			t.Fatalf("unknown option %q", w)
		}
	}
	res, err := g.Query(context.Background(), tenant.Default, p)
	if err != nil {
		return "error: " + err.Error()
	}
	return render(res)
}

func render(res *logql.Result) string {
	var b strings.Builder
	for _, s := range res.Streams {
		fmt.Fprintln(&b, s.Labels)
		for _, e := range s.Entries {
			fmt.Fprintf(&b, "  %s %q", formatSeconds(float64(e.Time)/1e9), e.Line)
			if m := e.Metadata; len(m) > 0 {
				fmt.Fprintf(&b, " meta %s", m)
			}
			if len(e.Parsed) > 0 {
				fmt.Fprintf(&b, " parsed %s", e.Parsed)
			}
			b.WriteByte('\n')
		}
	}
	for _, s := range res.Series {
		fmt.Fprintf(&b, "%s", s.Labels)
		for _, p := range s.Points {
			fmt.Fprintf(&b, " %s:%s", formatSeconds(float64(p.Time)/1e3), strconv.FormatFloat(p.Value, 'g', 6, 64))
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "(nothing)"
	}
	return strings.TrimRight(b.String(), "\n")
}

func formatSeconds(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
