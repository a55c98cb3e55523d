package lokiapi

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/query/logql"
)

func TestMinerFindsTheFormats(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	formats := []func() string{
		func() string {
			return fmt.Sprintf("GET /api/v1/users/%d %d in %dms", rnd.IntN(1e6), 200+rnd.IntN(300), rnd.IntN(900))
		},
		func() string {
			return fmt.Sprintf(`level=error msg="cannot reach %s" err="connection refused" attempt=%d`, []string{"billing", "cart", "search"}[rnd.IntN(3)], rnd.IntN(9))
		},
		func() string {
			return fmt.Sprintf(`{"ts":"2026-11-20T10:%02d:00.%03dZ","msg":"cache miss","key":"k%d"}`, rnd.IntN(60), rnd.IntN(1000), rnd.IntN(1e6))
		},
		func() string {
			return fmt.Sprintf("user u%d logged in from 10.0.%d.%d", rnd.IntN(1e6), rnd.IntN(256), rnd.IntN(256))
		},
	}
	m := newMiner(2)
	lines := map[string]int{}
	for i := range 4000 {
		line := formats[i%4]()
		lines[line]++
		m.add(line, "info", i%2)
	}
	var got []string
	for _, c := range m.clusters() {
		require.Equal(t, 1000, c.total)
		require.Equal(t, 1000, c.counts["info"][0]+c.counts["info"][1])
		got = append(got, c.template())
	}
	require.ElementsMatch(t, []string{
		"GET /api/<_>/users/<_> <_> in <_>",
		`level=error msg="cannot reach <_>" err="connection refused" attempt=<_>`,
		`{"ts":"<_>","msg":"cache miss","key":"<_>"}`,
		"user <_> logged in from <_>",
	}, got)
}

// A template is a pattern filter that finds its lines.
func TestTemplatesMatchTheirLines(t *testing.T) {
	for _, line := range []string{"plain", "<html> x1", "a=<b>", "  spaced  1 ", "tab\tx9", "ünï 5 cöde", `q"u\o"te 7`, "", strings.Repeat("w9 ", 300), strings.Repeat("long", 3000), "<_> 1", "1<2>3"} {
		requireTemplateMatches(t, line)
	}
}

func requireTemplateMatches(t *testing.T, line string) {
	m := newMiner(1)
	m.add(line, "info", 0)
	for _, c := range m.clusters() {
		sel, err := logql.ParseSelection(fmt.Sprintf("{} |> %q", c.template()))
		require.NoError(t, err, "%q of %q", c.template(), line)
		n, err := logql.NewCounter(sel)
		require.NoError(t, err)
		require.True(t, n.Passes(&model.LogRow{LogRecord: model.LogRecord{Body: model.String(line)}}), "%q of %q", c.template(), line)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"GET /x 200", "<a><b>", "a\x00b\xff1", "12:30:01.5 x-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) { requireTemplateMatches(t, line) })
}

func BenchmarkMiner(b *testing.B) {
	m := newMiner(1)
	lines := make([]string, 512)
	for i := range lines {
		lines[i] = fmt.Sprintf(`level=info msg="request served" status=%d took=%dms path=/a/b/%d user=%s`, 200+i%5, i, i, []string{"ann", "bob"}[i%2])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.add(lines[i%len(lines)], "info", 0)
	}
}
