package testkit

import (
	"os"
	"strings"
	"testing"
)

// RunScript runs a script of testdata: blocks parted by empty lines, each a
// question of one or more lines, a line "----", and the answer. Lines that
// begin with # before a question are comments. With REWRITE=1 in the
// environment what the code answers is written into the script instead: read
// the diff.
func RunScript(t *testing.T, path string, answer func(question string) string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := os.Getenv("REWRITE") == "1"
	var out []string
	for _, block := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n\n") {
		head, want, asked := strings.Cut(block, "\n----")
		if !asked {
			out = append(out, block)
			continue
		}
		question := head
		for strings.HasPrefix(question, "#") {
			_, question, _ = strings.Cut(question, "\n")
		}
		got := strings.TrimRight(answer(question), "\n")
		out = append(out, strings.TrimRight(head+"\n----\n"+got, "\n"))
		if !rewrite && strings.TrimPrefix(want, "\n") != got {
			t.Errorf("%s: %s\nwant:\n%s\ngot:\n%s", path, question, strings.TrimPrefix(want, "\n"), got)
		}
	}
	if rewrite {
		if err := os.WriteFile(path, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
