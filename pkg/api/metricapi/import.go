package metricapi

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// imported says what an import stored.
type imported struct {
	Samples int    `json:"samples,omitempty"`
	Block   string `json:"block,omitempty"`
	// Note tells when it can be asked for.
	Note string `json:"note"`
}

const visibleSoon = "the samples can be queried within a minute"

// body bounds and unpacks what comes in.
func (a *API) body(w http.ResponseWriter, r *http.Request) (io.ReadCloser, error) {
	limited := http.MaxBytesReader(w, r.Body, a.opts.MaxImportBytes)
	switch enc := strings.ToLower(r.Header.Get("Content-Encoding")); enc {
	case "", "identity":
		return limited, nil
	case "gzip":
		z, err := gzip.NewReader(limited)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", model.ErrInvalid, err)
		}
		// What comes out is read as a stream and bounded like what comes in.
		return struct {
			io.Reader
			io.Closer
		}{&bounded{r: z, left: a.opts.MaxImportBytes}, limited}, nil
	default:
		return nil, fmt.Errorf("%w: content encoding %q is not known: send gzip or none", model.ErrInvalid, enc)
	}
}

// bounded fails beyond a number of bytes.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, fmt.Errorf("%w: more data than an import may hold: split it", model.ErrInvalid)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	return n, err
}

func (a *API) serveOpenMetrics(w http.ResponseWriter, r *http.Request) {
	id, body, err := a.openImport(w, r)
	if err != nil {
		fail(w, err)
		return
	}
	defer func() { _ = body.Close() }()
	n, err := a.opts.Import(id).OpenMetrics(r.Context(), body)
	if err != nil {
		fail(w, fmt.Errorf("%w (%d samples before it were imported)", err, n))
		return
	}
	respondData(w, imported{Samples: n, Note: visibleSoon})
}

func (a *API) openImport(w http.ResponseWriter, r *http.Request) (tenant.ID, io.ReadCloser, error) {
	id, err := tenant.FromHTTP(r)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	body, err := a.body(w, r)
	return id, body, err
}

// serveBlock takes a tar archive of one block's folder.
func (a *API) serveBlock(w http.ResponseWriter, r *http.Request) {
	id, body, err := a.openImport(w, r)
	if err != nil {
		fail(w, err)
		return
	}
	defer func() { _ = body.Close() }()
	if a.opts.TempDir != "" {
		err = os.MkdirAll(a.opts.TempDir, 0o750)
	}
	dir := ""
	if err == nil {
		dir, err = os.MkdirTemp(a.opts.TempDir, "braid-import-")
	}
	if err != nil {
		fail(w, fmt.Errorf("cannot make a folder for the block: %w", err))
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	block, err := unpack(r.Context(), body, dir)
	if err == nil {
		err = a.opts.Import(id).Block(block)
	}
	if err != nil {
		fail(w, err)
		return
	}
	respondData(w, imported{Block: filepath.Base(block), Note: visibleSoon})
}

// maxBlockFiles bounds the files of an archive: a block has an index, a meta
// file, tombstones, and a chunk file for every half gigabyte.
const maxBlockFiles = 10_000

// unpack writes an archive into dir and returns the folder that holds
// meta.json. Only plain files inside dir are written.
func unpack(ctx context.Context, r io.Reader, dir string) (block string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	tr := tar.NewReader(r)
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", badArchive(err)
		}
		name := filepath.FromSlash(filepath.Clean(h.Name))
		switch {
		case n >= maxBlockFiles:
			return "", badArchive(fmt.Errorf("more than %d files", maxBlockFiles))
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag != tar.TypeReg || !filepath.IsLocal(name):
			return "", badArchive(fmt.Errorf("%q is not a plain file of the block", h.Name))
		}
		if err := writeFile(root, name, tr); err != nil {
			return "", err
		}
		if filepath.Base(name) == "meta.json" {
			if block != "" {
				return "", badArchive(errors.New("it holds more than one block: send one at a time"))
			}
			block = filepath.Join(dir, filepath.Dir(name))
		}
	}
	if block == "" {
		return "", badArchive(errors.New("it holds no meta.json: send the folder of one block"))
	}
	return block, nil
}

func badArchive(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	return fmt.Errorf("%w: tar archive: %w", model.ErrInvalid, err)
}

func writeFile(root *os.Root, name string, r io.Reader) (err error) {
	if err := root.MkdirAll(filepath.Dir(name), 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot unpack block: %w", err)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return badArchive(fmt.Errorf("%q comes twice", name))
	}
	if err != nil {
		return fmt.Errorf("cannot unpack block: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, r)
	var disk *fs.PathError
	switch {
	case errors.As(err, &disk):
		return fmt.Errorf("cannot unpack block: %w", err)
	case err != nil:
		return badArchive(err)
	}
	return nil
}
