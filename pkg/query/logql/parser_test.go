package logql_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/query/logql"
)

// Files testdata/*.golden hold queries and, behind a line with ----, what
// comes of them; blocks are separated by blank lines.
func golden(t *testing.T, file string, do func(query string) string) {
	path := filepath.Join("testdata", file)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []string
	for _, block := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n\n") {
		query, want, _ := strings.Cut(block, "\n----")
		got := strings.TrimRight(do(query), "\n")
		out = append(out, query+"\n----\n"+got)
		if !*rewrite {
			require.Equal(t, strings.TrimPrefix(want, "\n"), got, query)
		}
	}
	if *rewrite {
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(out, "\n\n")+"\n"), 0o644))
	}
}

func TestErrors(t *testing.T) {
	golden(t, "errors.golden", func(q string) string {
		_, err := logql.Parse(q)
		require.Error(t, err, q)
		require.True(t, errors.Is(err, model.ErrInvalid))
		var pe *logql.ParseError
		require.ErrorAs(t, err, &pe)
		return err.Error()
	})
}

func TestFormat(t *testing.T) {
	golden(t, "format.golden", func(q string) string {
		e, err := logql.Parse(q)
		require.NoError(t, err, q)
		f := logql.Format(e)
		again, err := logql.Parse(f)
		require.NoError(t, err, f)
		require.Equal(t, e.String(), again.String())
		return f
	})
}

func TestExplain(t *testing.T) {
	golden(t, "explain.golden", func(q string) string {
		e, err := logql.Parse(q)
		require.NoError(t, err, q)
		return logql.Explain(e)
	})
}

func TestDeepNestingIsRefused(t *testing.T) {
	_, err := logql.Parse(strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000))
	require.ErrorContains(t, err, "nested more than")
	_, err = logql.Parse(`{} | ` + strings.Repeat("(", 5000) + `a="b"` + strings.Repeat(")", 5000))
	require.ErrorContains(t, err, "nested more than")
	_, err = logql.Parse(strings.Repeat("1+", 3000) + "1")
	require.NoError(t, err)
}

// FuzzParse: no text makes the parser panic, and what it renders parses to the
// same.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"logs.script", "metrics.script", "errors.golden", "format.golden", "explain.golden"} {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		for _, block := range strings.Split(string(raw), "\n\n") {
			q, _, _ := strings.Cut(block, "\n----")
			if strings.HasPrefix(q, "query ") {
				_, q, _ = strings.Cut(q, "\n")
			}
			f.Add(q)
		}
	}
	f.Fuzz(func(t *testing.T, q string) {
		e, err := logql.Parse(q)
		if err != nil {
			return
		}
		s := e.String()
		again, err := logql.Parse(s)
		if err != nil {
			t.Fatalf("%q renders as %q, which does not parse: %v", q, s, err)
		}
		if again.String() != s {
			t.Fatalf("%q renders as %q, which renders as %q", q, s, again.String())
		}
		if pretty, err := logql.Parse(logql.Format(e)); err != nil || pretty.String() != s {
			t.Fatalf("%q is formatted as %q: %v", q, logql.Format(e), err)
		}
		logql.Explain(e)
	})
}

// FuzzPipeline: no line makes a parser panic or a stage loop.
func FuzzPipeline(f *testing.F) {
	for _, line := range []string{`{"a":{"b":[1,2,{"c":"d"}]},"e":"\ud83d\ude00"}`, `a=b c="d\"e" f= g`, "\x1b[31mx\x1b[0m", `{"_entry":"x","a":"b"}`, "10.0.0.1:80 ::1", `{"a":1e5,"b":tru}`} {
		f.Add(line)
	}
	sel, err := logql.ParseSelection("{} | json | logfmt | unpack | decolorize | regexp `(?P<x>a+)` | pattern `<m> <p> <_>` | line_format `{{.a}}{{.m | trunc 3 | repeat 2}}` | label_format z=a, y=`{{ alignLeft 5 .x }}` | x > 5 or a < 2s or m = ip(`10.0.0.0/8`) | keep a, x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		tail, err := logql.NewTailer(sel)
		if err != nil {
			t.Fatal(err)
		}
		tail.Take([]model.LogRow{{LogRecord: model.LogRecord{Body: model.String(line)}}})
		logql.DetectJSON(line)
		logql.DetectLogfmt(line)
	})
}
