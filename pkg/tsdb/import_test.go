package tsdb

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestImportedHistoryJoinsWhatIsThere(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	push(t, s, batch(nil, counter("c", point(0, 10))))
	text := `# TYPE c counter
# HELP c Counts.
c_total 1 1699900000
c_total 3 1699900060
c_total 2 1699900030
c_total 4 1699990000
c_total 9 1699999990
c_total{x="y"} 5 1699900000
# EOF
`
	n, err := s.Import(tenant.Default).OpenMetrics(context.Background(), strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 6, n)
	require.NoError(t, s.lookup(tenant.Default).reopen())
	want := `{__name__="c_total", x="y"} 5@-100000
{__name__="c_total"} 1@-100000 2@-99970 3@-99940 4@-10000 9@-10 10@0`
	require.Equal(t, want, dump(t, s, tenant.Default))

	// A block taken from one tenant goes into another, once.
	blocks, err := filepath.Glob(filepath.Join(o.Dir, "default", "tsdb", "01*"))
	require.NoError(t, err)
	require.Len(t, blocks, 3)
	for range 2 {
		for _, b := range blocks {
			require.NoError(t, s.Import("other").Block(b))
		}
	}
	require.NoError(t, s.lookup("other").reopen())
	require.Equal(t, strings.Replace(want, " 10@0", "", 1), dump(t, s, "other"))
	m, err := s.Metadata(context.Background(), tenant.Default, "c", 0)
	require.NoError(t, err)
	require.Equal(t, "Counts.", m["c"].Help)
}

// A block that cannot be opened is set aside and the rest answers.
func TestADamagedBlockIsSetAside(t *testing.T) {
	for _, part := range []string{"meta.json", "index"} {
		t.Run(part, func(t *testing.T) {
			o := testOptions(t.TempDir())
			s := openTest(t, o)
			push(t, s, batch(nil, counter("c", point(0, 10))))
			_, err := s.Import(tenant.Default).OpenMetrics(context.Background(), strings.NewReader("a 1 1699900000\na 2 1699990000\n# EOF\n"))
			require.NoError(t, err)
			require.NoError(t, s.Close())
			files, err := filepath.Glob(filepath.Join(o.Dir, "default", "tsdb", "01*", part))
			require.NoError(t, err)
			require.Len(t, files, 2)
			require.NoError(t, os.WriteFile(files[0], []byte("{nonsense"), 0o600))
			s = openTest(t, o)
			require.Equal(t, 2, strings.Count(dump(t, s, tenant.Default), "@"))
			aside, err := os.ReadDir(filepath.Join(o.Dir, "default", "damaged"))
			require.NoError(t, err)
			require.Len(t, aside, 1)
		})
	}
}

func TestImportOfGarbage(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	for text, want := range map[string]string{
		"a 1\n# EOF\n":                             "sample of a has no timestamp",
		"a 1 1699990000\n":                         `does not end in "# EOF"`,
		"a 1 1\n# EOF\n":                           "older than the retention",
		"a 1 1800000000\n# EOF\n":                  "is in the future",
		"a 1 1699990000\nb{ 1 1699990000\n# EOF\n": "in lines 1 to 2",
		strings.Repeat("a", 2*importPiece):         "line 1 is longer than",
		"a{ 1 1\n# EOF\n":                          "expected",
	} {
		_, err := s.Import(tenant.Default).OpenMetrics(context.Background(), strings.NewReader(text))
		require.ErrorIs(t, err, model.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
	dir := t.TempDir()
	require.ErrorIs(t, s.Import(tenant.Default).Block(dir), model.ErrInvalid)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "meta.json"), []byte(`{"version":1}`), 0o600))
	require.ErrorIs(t, s.Import(tenant.Default).Block(dir), model.ErrInvalid)
}

// A long text is taken in pieces, each sample once, whatever the pieces.
func TestALongTextIsImportedInPieces(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	var text strings.Builder
	text.WriteString("# TYPE long counter\n")
	const series, samples = 50, 700
	for i := range samples {
		for n := range series {
			fmt.Fprintf(&text, "long_total{n=\"%d\",filler=\"%s\"} %d %d\n", n, strings.Repeat("x", 40), i*n, 1_699_900_000+i*60)
		}
	}
	text.WriteString("# EOF")
	require.Greater(t, text.Len(), 2*importPiece)
	n, err := s.Import(tenant.Default).OpenMetrics(context.Background(), iotest.OneByteReader(bytes.NewReader([]byte("# HELP long Long.\n"))))
	require.ErrorContains(t, err, "does not end")
	require.Zero(t, n)
	n, err = s.Import(tenant.Default).OpenMetrics(context.Background(), strings.NewReader(text.String()))
	require.NoError(t, err)
	require.Equal(t, series*samples, n)
	require.NoError(t, s.lookup(tenant.Default).reopen())
	lines := strings.Split(dump(t, s, tenant.Default), "\n")
	require.Len(t, lines, series)
	for _, l := range lines {
		require.Equal(t, samples, strings.Count(l, "@"))
	}
}

func FuzzImportOpenMetrics(f *testing.F) {
	f.Add([]byte("# TYPE c counter\nc_total{x=\"y\"} 5 1699900000\n# EOF\n"))
	f.Add([]byte("a 1 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := &pastReader{t: &tenantDB{opts: &Options{Retention: time.Hour, Limits: func(tenant.ID) Limits { return Limits{} }}},
			windows: map[int64]history{}, meta: map[string]model.MetricMeta{}, oldest: math.MinInt64, newest: math.MaxInt64}
		_ = p.parse(text) // must not panic
	})
}
