package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func layout(t *testing.T) string {
	dist := t.TempDir()
	for name, text := range map[string]string{
		"plugin.json":                        `{"id":"x-datasource","executable":"gpx_x","info":{"version":"1.2.3","updated":"2026-01-02","logos":{"small":"img/l.svg","large":"img/l.svg"}}}`,
		"module.js":                          "define([],()=>({}))",
		"README.md":                          "r",
		"LICENSE":                            "l",
		"CHANGELOG.md":                       "c",
		"img/l.svg":                          "<svg/>",
		"gpx_x_linux_amd64":                  "program",
		filepath.Join("old", "leftover.zip"): "not packed",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dist, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dist, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Chmod(filepath.Join(dist, "gpx_x_linux_amd64"), 0o755))
	return dist
}

func TestPack(t *testing.T) {
	dist, out := layout(t), filepath.Join(t.TempDir(), "x.zip")
	require.NoError(t, pack(dist, out))
	z, err := zip.OpenReader(out)
	require.NoError(t, err)
	defer func() { _ = z.Close() }()
	modes := map[string]os.FileMode{}
	for _, f := range z.File {
		modes[f.Name] = f.Mode()
	}
	require.Equal(t, map[string]os.FileMode{
		"x-datasource/plugin.json": 0o644, "x-datasource/module.js": 0o644, "x-datasource/README.md": 0o644, "x-datasource/LICENSE": 0o644,
		"x-datasource/CHANGELOG.md": 0o644, "x-datasource/img/l.svg": 0o644, "x-datasource/gpx_x_linux_amd64": 0o755,
	}, modes)
	first, err := os.ReadFile(out)
	require.NoError(t, err)
	require.NoError(t, pack(dist, out))
	second, err := os.ReadFile(out)
	require.NoError(t, err)
	require.True(t, bytes.Equal(first, second))
}

func TestPackRefuses(t *testing.T) {
	for _, name := range []string{"plugin.json", "module.js", "LICENSE", "img/l.svg", "gpx_x_linux_amd64"} {
		dist := layout(t)
		require.NoError(t, os.Remove(filepath.Join(dist, name)))
		require.Error(t, pack(dist, filepath.Join(t.TempDir(), "x.zip")), name)
	}
	dist := layout(t)
	require.NoError(t, os.Chmod(filepath.Join(dist, "gpx_x_linux_amd64"), 0o644))
	require.ErrorContains(t, pack(dist, filepath.Join(t.TempDir(), "x.zip")), "executed")
}
