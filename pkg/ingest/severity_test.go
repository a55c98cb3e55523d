package ingest

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// TestLineSeverity reads testdata/severity.txt: a level (Loki's word, or "unknown"),
// a bar, a line.
func TestLineSeverity(t *testing.T) {
	f, err := os.Open("testdata/severity.txt")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	cases := 0
	for lines := bufio.NewScanner(f); lines.Scan(); cases++ {
		want, line, ok := strings.Cut(lines.Text(), " | ")
		require.True(t, ok, lines.Text())
		require.Equal(t, strings.TrimSpace(want), lineSeverity(line).Level(), line)
	}
	require.Greater(t, cases, 30)
}

func TestSeverityIsFoundInTheRecord(t *testing.T) {
	with := func(text, body string, attrs ...model.Attr) *model.LogRecord {
		return &model.LogRecord{SeverityText: text, Body: model.String(body), Attrs: attrs}
	}
	level := func(v model.Value) model.Attr { return model.Attr{Key: "level", Value: v} }
	for name, c := range map[string]struct {
		r    *model.LogRecord
		want model.SeverityNumber
		text string
	}{
		"text":                       {with("Warning", "ERROR"), 13, "Warning"},
		"text that is no level":      {with("odd", "ERROR"), 0, "odd"},
		"attribute before line":      {with("", "ERROR", level(model.String("info"))), 9, "info"},
		"pino":                       {with("", "", level(model.Int(50))), 17, ""},
		"number that is no level":    {with("", "WARN", level(model.Int(7))), 13, ""},
		"attribute that is no level": {with("", "x", level(model.String("high"))), 0, ""},
		"line":                       {with("", "12:00 FATAL x"), 21, ""},
	} {
		findSeverity(c.r)
		require.Equal(t, c.want, c.r.Severity, name)
		require.Equal(t, c.text, c.r.SeverityText, name)
	}
}

// FuzzLineSeverity: a level is found in the head of a line only, whatever follows.
func FuzzLineSeverity(f *testing.F) {
	for _, s := range []string{"", "<", "<13>x", "E0102 x", `{"level":"warn"}`, "level", "level=", "[error", "WARN", "\xff\xfeERROR"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		n := lineSeverity(line)
		require.LessOrEqual(t, n, model.SeverityNumber(24))
		trimmed := strings.TrimLeft(line, " \t\r\n")
		if len(trimmed) > headOfLine {
			require.Equal(t, n, lineSeverity(trimmed[:headOfLine]+"\nlevel=fatal"), fmt.Sprintf("%q", line))
		}
	})
}
