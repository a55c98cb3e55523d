package tsdb

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		"a 1\n# EOF\n":    "sample of a has no timestamp",
		"a 1 1\n":         "data does not end with # EOF",
		"a{ 1 1\n# EOF\n": "expected",
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
