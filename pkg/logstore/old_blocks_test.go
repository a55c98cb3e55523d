package logstore

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// oldBlocks has a folder for each format that blocks were once written in: a
// store, and in rows.txt what was appended to it. BRAID_WRITE_BLOCK=NAME adds
// one of the format of today: do so before a change of the format.
const oldBlocks = "testdata/blocks"

func TestBlocksOfOlderFormatsStillAnswer(t *testing.T) {
	if name := os.Getenv("BRAID_WRITE_BLOCK"); name != "" {
		writeOldBlock(t, filepath.Join(oldBlocks, name))
	}
	dirs, err := os.ReadDir(oldBlocks)
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) { checkOldBlock(t, filepath.Join(oldBlocks, d.Name())) })
	}
}

// writeOldBlock writes a store of one block of small pages.
func writeOldBlock(t *testing.T, to string) {
	g := newGen(11)
	g.shaped = true
	o := testOptions(filepath.Join(to, "store"))
	o.pageRows = 64
	s := openTest(t, o)
	var want strings.Builder
	for pos := range model.Position(16) {
		l := g.logs(testNow + int64(pos)*1e8)
		for _, b := range l.Batches {
			for i := range b.Records {
				row := model.LogRow{Resource: b.Resource, LogRecord: b.Records[i]}
				slices.SortStableFunc(row.Attrs, func(a, b model.Attr) int { return strings.Compare(a.Key, b.Key) })
				want.WriteString(rowText(row))
			}
		}
		_, err := s.AppendLogs(bg, "t", pos+1, l)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	writeFile(t, filepath.Join(to, "rows.txt"), []byte(want.String()))
}

// rowText writes a row as rows.txt has it.
func rowText(r model.LogRow) string {
	var b strings.Builder
	value := func(v model.Value) { fmt.Fprintf(&b, "%d %x %q", v.Kind(), v.Num(), v.Str()) }
	fmt.Fprintf(&b, "%d\t%d\t%d %q\t%s %s\t%q %d %d\t%q\t", r.Time, r.Observed, r.Severity, r.SeverityText, r.TraceID, r.SpanID, r.EventName, r.Flags, r.DroppedAttrs,
		r.Resource.Service())
	value(r.Body)
	for _, a := range r.Attrs {
		fmt.Fprintf(&b, "\t%q ", a.Key)
		value(a.Value)
	}
	b.WriteByte('\n')
	return b.String()
}

func checkOldBlock(t *testing.T, from string) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(from, "store"))))
	raw, err := os.ReadFile(filepath.Join(from, "rows.txt"))
	require.NoError(t, err)
	want := strings.SplitAfter(strings.TrimSuffix(string(raw), "\n"), "\n")
	want[len(want)-1] += "\n"
	slices.Sort(want)
	bySeverity := map[string]int{}
	for _, line := range want {
		var at, observed int64
		var sev int
		_, err := fmt.Sscanf(line, "%d\t%d\t%d", &at, &observed, &sev)
		require.NoError(t, err)
		bySeverity[fmt.Sprint((at-testNow+100e9)/7e9, " ", sev)]++
	}
	s := openTest(t, testOptions(dir))
	defer func() { require.NoError(t, s.Close()) }()
	check := func() {
		t.Helper()
		q := &predicate.LogQuery{Tenant: "t", Stats: &model.QueryStats{}}
		rows := collectRows(t, s, q)
		require.Empty(t, q.Stats.Warnings())
		got := make([]string, len(rows))
		for i, r := range rows {
			got[i] = rowText(r)
		}
		slices.Sort(got)
		require.Equal(t, want, got)
		a, err := s.AggregateLogs(bg, &predicate.Aggregation{Tenant: "t", Range: model.TimeRange{Start: testNow - 100e9, End: testNow + 100e9}, Step: 7e9,
			By: []predicate.Field{predicate.Intrinsic(predicate.Severity)}})
		require.NoError(t, err)
		counts := map[string]int{}
		for _, grp := range a.Groups {
			for b, c := range grp.Cells {
				if c.Count > 0 {
					counts[fmt.Sprint(b, " ", int64(grp.Key[0].Num()))] = int(c.Count)
				}
			}
		}
		require.Equal(t, bySeverity, counts)
		word, err := predicate.NewText(predicate.Intrinsic(predicate.Body), predicate.Contains, "packet", false)
		require.NoError(t, err)
		found := collectRows(t, s, &predicate.LogQuery{Tenant: "t", Filter: word})
		n := 0
		for _, r := range rows {
			if strings.Contains(r.Body.Text(), "packet") {
				n++
			}
		}
		require.NotZero(t, n)
		require.Len(t, found, n)
	}
	check()
	mergeAll(t, s) // into a block of today's format
	check()
}
