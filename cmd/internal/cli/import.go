package cli

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

type importCmd struct {
	OpenMetrics importTextCmd   `cmd:"" name:"openmetrics" help:"Import OpenMetrics text whose samples have timestamps."`
	Blocks      importBlocksCmd `cmd:"" help:"Import Prometheus blocks: a block, or a folder of blocks such as a data folder or a snapshot."`
}

type importTextCmd struct {
	clientFlags
	Files []string `arg:"" help:"Files; - is the standard input. A name that ends in .gz is sent as it is."`
}

// Run sends the files one after the other and says what was stored.
func (c *importTextCmd) Run(ctx context.Context) error {
	for _, name := range c.Files {
		if err := c.one(ctx, name); err != nil {
			return fmt.Errorf("cannot import %s: %w", name, err)
		}
	}
	return nil
}

func (c *importTextCmd) one(ctx context.Context, name string) error {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	encoding := ""
	if strings.HasSuffix(name, ".gz") {
		encoding = "gzip"
	}
	return c.send(ctx, name, "/api/braid/v1/import/openmetrics", encoding, in)
}

type importAnswer struct {
	Data struct {
		Samples     int
		Block, Note string
	}
}

func (c *clientFlags) send(ctx context.Context, name, path, encoding string, body io.Reader) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Addr, "/")+path, io.NopCloser(body))
	if err != nil {
		return err
	}
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	answer, err := c.do(r)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(answer)
	}
	var a importAnswer
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	what := fmt.Sprintf("%d samples", a.Data.Samples)
	if a.Data.Block != "" {
		what = "block " + a.Data.Block
	}
	fmt.Printf("%s: imported %s; %s\n", name, what, a.Data.Note)
	return nil
}

type importBlocksCmd struct {
	clientFlags
	Dirs []string `arg:"" type:"existingdir" help:"Folders."`
}

// Run sends every block that the folders hold, oldest name first.
func (c *importBlocksCmd) Run(ctx context.Context) error {
	var blocks []string
	for _, dir := range c.Dirs {
		found, err := blocksIn(dir)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s holds no block: a block is a folder with meta.json, index and chunks", dir)
		}
		blocks = append(blocks, found...)
	}
	for _, b := range blocks {
		if err := c.block(ctx, b); err != nil {
			return fmt.Errorf("cannot import block %s: %w", b, err)
		}
	}
	return nil
}

func blocksIn(dir string) ([]string, error) {
	var out []string
	for _, pattern := range []string{"meta.json", filepath.Join("*", "meta.json")} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if block := filepath.Dir(f); !strings.Contains(filepath.Base(block), ".tmp-for-") {
				out = append(out, block)
			}
		}
	}
	sort.Strings(out)
	return out, nil
}

// block sends one block as a tar archive that is made while it is sent.
func (c *importBlocksCmd) block(ctx context.Context, dir string) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeBlock(w, dir)) }()
	err := c.send(ctx, dir, "/api/braid/v1/import/block", "", r)
	// Ends the writer when the server did not want the rest.
	return errors.Join(err, r.Close())
}

func writeBlock(to io.Writer, dir string) error {
	w := tar.NewWriter(to)
	base := filepath.Base(dir)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return writeTarFile(w, path, base+"/"+filepath.ToSlash(rel))
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func writeTarFile(w *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o640, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
