package arch

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	module = "braid/"
)

// otherModules have a go.mod of their own.
var otherModules = []string{"tools", "grafana"}

// packages returns the folders that hold Go files, with the files.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() {
			name := d.Name()
			if rel != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || slices.Contains(otherModules, rel)) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			dir := filepath.ToSlash(filepath.Dir(rel))
			out[dir] = append(out[dir], path)
		}
		return nil
	})
	require.NoError(t, err)
	return out
}

// allowed returns what a package may import; known is false when the plan does
// not name it.
func allowed(pkg string) (list []string, known bool) {
	if list, ok := rooms[pkg]; ok {
		return list, true
	}
	for pattern, list := range rooms {
		if base, ok := strings.CutSuffix(pattern, "/..."); ok && (pkg == base || strings.HasPrefix(pkg, base+"/")) {
			return list, true
		}
	}
	return nil, false
}

func TestImports(t *testing.T) {
	for pkg, files := range packages(t) {
		list, known := allowed(pkg)
		if !known {
			t.Errorf("package %s has no place in the plan: decide which floor it stands on and add it to rooms in internal/arch/arch.go, with what it may import", pkg)
			continue
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, spec := range f.Imports {
				target, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
				if !ours || target == pkg || slices.Contains(list, "...") || slices.Contains(list, target) {
					continue
				}
				if strings.HasSuffix(file, "_test.go") && slices.Contains(testOnly, target) {
					continue
				}
				t.Errorf("%s imports %s, which package %s may not: data flows one way. Let the importer declare a small interface and let cmd/internal/app join the two, or move what both need to a lower floor", file, target, pkg)
			}
		}
	}
}

func TestEveryPackageTellsItsStory(t *testing.T) {
	for pkg, files := range packages(t) {
		told, onlyTests := false, true
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			onlyTests = false
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			require.NoError(t, err)
			if f.Doc != nil && (strings.HasPrefix(f.Doc.Text(), "Package ") || f.Name.Name == "main") && len(f.Doc.Text()) > 60 {
				told = true
			}
		}
		if !told && !onlyTests && !strings.HasPrefix(pkg, "proto/") {
			t.Errorf("package %s has no package comment: say in a paragraph, in doc.go, what it is for and what happens to a batch in it", pkg)
		}
	}
}

var update = flag.Bool("update", false, "record that the generated code is current; make generate does it")

// TestGeneratedCodeIsCurrent compares the definitions and what was generated
// from them with what they were when `make generate` last ran.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	var names []string
	err := filepath.WalkDir(filepath.Join(root, "proto"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".proto") || strings.HasSuffix(path, ".pb.go") || strings.HasSuffix(path, ".pb.gw.go") || strings.HasSuffix(path, ".swagger.json")) {
			names = append(names, path)
		}
		return err
	})
	require.NoError(t, err)
	sort.Strings(names)
	var sum strings.Builder
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		digest := sha256.Sum256(data)
		rel, _ := filepath.Rel(root, name)
		sum.WriteString(hex.EncodeToString(digest[:]) + "  " + filepath.ToSlash(rel) + "\n")
	}
	record := filepath.Join(root, "proto", "generated.sum")
	if *update {
		require.NoError(t, os.WriteFile(record, []byte(sum.String()), 0o644))
	}
	have, err := os.ReadFile(record)
	require.NoError(t, err)
	require.Equal(t, string(have), sum.String(), "a definition or a generated file has changed: run make generate and commit what it writes")
}
