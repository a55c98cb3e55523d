// Command archive packs dist/ as Grafana installs a plugin: one folder named
// after the plugin's id, with everything that is built in it.
//
//	archive DIST OUT.zip
package main

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: archive DIST OUT.zip")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// manifest is the part of plugin.json that the layout depends on.
type manifest struct {
	ID, Type, Executable string
	Info                 struct {
		Version, Updated string
		Logos            struct{ Small, Large string }
	}
}

func readManifest(dist string) (manifest, error) {
	var m manifest
	text, err := os.ReadFile(filepath.Join(dist, "plugin.json"))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(text, &m)
}

var (
	version = regexp.MustCompile(`^\d+\.\d+\.\d+`)
	day     = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// check refuses a dist/ that Grafana would not load.
func check(dist string) (manifest, error) {
	m, err := readManifest(dist)
	if err != nil {
		return m, fmt.Errorf("cannot read plugin.json: %w", err)
	}
	if m.ID == "" || !version.MatchString(m.Info.Version) || !day.MatchString(m.Info.Updated) {
		return m, fmt.Errorf("plugin.json names no id, version or day: build the front end first")
	}
	for _, name := range []string{"module.js", "README.md", "LICENSE", "CHANGELOG.md", m.Info.Logos.Small, m.Info.Logos.Large} {
		if _, err := os.Stat(filepath.Join(dist, filepath.FromSlash(name))); err != nil {
			return m, fmt.Errorf("dist lacks what plugin.json promises: %w", err)
		}
	}
	programs, err := filepath.Glob(filepath.Join(dist, m.Executable+"_*"))
	if err != nil || len(programs) == 0 {
		return m, fmt.Errorf("dist has no program %s_<os>_<arch>: build the backend first", m.Executable)
	}
	for _, p := range programs {
		info, err := os.Stat(p)
		if err != nil {
			return m, err
		}
		if info.Mode()&0o100 == 0 && !strings.HasSuffix(p, ".exe") {
			return m, fmt.Errorf("%s cannot be executed", p)
		}
	}
	return m, nil
}

// pack writes the archive; the same dist/ gives the same bytes.
func pack(dist, out string) (err error) {
	m, err := check(dist)
	if err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	at, err := time.Parse(time.DateOnly, m.Info.Updated)
	if err != nil {
		return err
	}
	z := zip.NewWriter(file)
	err = filepath.WalkDir(dist, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, ".zip") {
			return err
		}
		rel, err := filepath.Rel(dist, name)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: path.Join(m.ID, filepath.ToSlash(rel)), Method: zip.Deflate, Modified: at}
		// Grafana starts the programs: they stay executable.
		h.SetMode(0o644 | info.Mode()&0o111)
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		_, err = io.Copy(w, in)
		return err
	})
	if err != nil {
		return err
	}
	return z.Close()
}
