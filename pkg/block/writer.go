package block

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

const (
	tmpPrefix = "tmp-"
	badPrefix = "bad-"
)

// Writer builds one block. It is not safe for concurrent use, though the files
// of one Writer may be written by different goroutines once created.
type Writer struct {
	fs     vfs.FS
	root   string // of all tenants
	tenant tenant.ID
	id     ID
	files  []*FileWriter
	done   bool
}

// NewWriter begins the block of a tenant below dir. The folder stays invisible
// until Commit. The caller ends with Commit or Abort.
func NewWriter(fsys vfs.FS, dir string, t tenant.ID, id ID) (*Writer, error) {
	if p, err := tenant.Parse(string(t)); err != nil || p != t {
		return nil, fmt.Errorf("cannot write block %q: tenant %q is not a valid name", id, t)
	}
	if _, err := ParseID(string(id)); err != nil {
		return nil, fmt.Errorf("cannot write block: %w", err)
	}
	w := &Writer{fs: fsys, root: dir, tenant: t, id: id}
	if _, err := fsys.Stat(w.path()); err == nil {
		return nil, fmt.Errorf("cannot write block %q: it exists already; use a fresh id", id)
	}
	// A leftover of the same id can only be an aborted try.
	if err := fsys.RemoveAll(w.tmp()); err != nil {
		return nil, fmt.Errorf("cannot write block %q: %w", id, err)
	}
	if err := vfs.MkdirAllDurable(fsys, w.parent()); err != nil {
		return nil, fmt.Errorf("cannot write block %q: %w", id, err)
	}
	if err := fsys.MkdirAll(w.tmp()); err != nil {
		return nil, fmt.Errorf("cannot write block %q: %w", id, err)
	}
	return w, nil
}

func (w *Writer) parent() string { return filepath.Join(w.root, string(w.tenant)) }
func (w *Writer) path() string   { return filepath.Join(w.parent(), string(w.id)) }
func (w *Writer) tmp() string    { return filepath.Join(w.parent(), tmpPrefix+string(w.id)) }

// ID returns the id of the block being written.
func (w *Writer) ID() ID { return w.id }

// Create begins a file of the block. Close it before Commit.
func (w *Writer) Create(name string) (*FileWriter, error) {
	if err := checkFileName(name); err != nil {
		return nil, err
	}
	if w.done {
		return nil, fmt.Errorf("cannot create file %q: block %q is committed or aborted", name, w.id)
	}
	if slices.ContainsFunc(w.files, func(f *FileWriter) bool { return f.name == name }) {
		return nil, fmt.Errorf("cannot create file %q: block %q has it already", name, w.id)
	}
	f, err := w.fs.Create(filepath.Join(w.tmp(), name))
	if err != nil {
		return nil, fmt.Errorf("cannot create file %q of block %q: %w", name, w.id, err)
	}
	fw := &FileWriter{name: name, f: f, buf: bufio.NewWriterSize(f, writeBuffer)}
	w.files = append(w.files, fw)
	return fw, nil
}

// writeBuffer keeps system calls rare; a block has few files open at once.
const writeBuffer = 128 << 10

// WriteFile writes a whole file of the block.
func (w *Writer) WriteFile(name string, data []byte) error {
	f, err := w.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// Commit publishes the block: once it returns nil the block survives power
// loss. It fills Version, ID, Tenant and Files of the meta and returns it
// whole. After an error the block is gone; should even its removal have failed
// (the error then says so), the next try must name this id in Replaces, so that
// the rows cannot count twice.
func (w *Writer) Commit(m Meta) (*Block, error) {
	if w.done {
		return nil, fmt.Errorf("cannot commit block %q: it is committed or aborted already", w.id)
	}
	m.Version, m.ID, m.Tenant, m.Files = FormatVersion, w.id, w.tenant, nil
	if err := w.stage(&m); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot commit block %q: %w", w.id, err), w.Abort())
	}
	w.done = true
	if err := w.publish(); err != nil {
		return nil, fmt.Errorf("cannot commit block %q: %w", w.id, err)
	}
	return &Block{Meta: m, Dir: w.path()}, nil
}

// stage brings everything but the name onto the disk.
func (w *Writer) stage(m *Meta) error {
	if m.Rows < 0 || m.MinTime > m.MaxTime {
		return fmt.Errorf("meta has %d rows from %d to %d, which is no range", m.Rows, m.MinTime, m.MaxTime)
	}
	for _, f := range w.files {
		if !f.closed {
			return fmt.Errorf("file %q is not closed", f.name)
		}
		if f.err != nil {
			return f.err
		}
		m.Files = append(m.Files, File{Name: f.name, Size: f.size, CRC: f.crc})
	}
	data, err := encodeMeta(m)
	if err != nil {
		return err
	}
	f, err := w.fs.Create(filepath.Join(w.tmp(), MetaName))
	if err != nil {
		return err
	}
	fw := &FileWriter{name: MetaName, f: f, buf: bufio.NewWriter(f)}
	if _, err := fw.Write(data); err != nil {
		return errors.Join(err, fw.Close())
	}
	if err := fw.Close(); err != nil {
		return err
	}
	return w.fs.SyncDir(w.tmp())
}

func (w *Writer) publish() error {
	if err := w.fs.Rename(w.tmp(), w.path()); err != nil {
		return errors.Join(err, w.fs.RemoveAll(w.tmp()))
	}
	err := w.fs.SyncDir(w.parent())
	if err == nil {
		return nil
	}
	// The name may or may not be on the disk: take it back.
	return errors.Join(err, removeDir(w.fs, w.path()))
}

// Abort removes what was written. After Commit it does nothing.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	var errs []error
	for _, f := range w.files {
		if !f.closed {
			f.closed = true
			errs = append(errs, f.f.Close())
		}
	}
	return errors.Join(append(errs, w.fs.RemoveAll(w.tmp()))...)
}

// FileWriter writes one file of a block, buffered. Not safe for concurrent use.
type FileWriter struct {
	name   string
	f      vfs.File
	buf    *bufio.Writer
	size   int64
	crc    uint32
	err    error // first failure: the file is then of no use
	closed bool
}

// Write appends bytes.
func (f *FileWriter) Write(p []byte) (int, error) {
	if f.err == nil && f.closed {
		f.err = fmt.Errorf("cannot write file %q: it is closed", f.name)
	}
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.buf.Write(p)
	f.size += int64(n)
	f.crc = crc32.Update(f.crc, castagnoli, p[:n])
	if err != nil {
		f.err = fmt.Errorf("cannot write file %q: %w", f.name, err)
	}
	return n, f.err
}

// Size returns the bytes written so far: the offset of what comes next.
func (f *FileWriter) Size() int64 { return f.size }

// Close flushes, syncs and closes the file.
func (f *FileWriter) Close() error {
	if f.closed {
		return f.err
	}
	f.closed = true
	if f.err == nil {
		f.err = f.buf.Flush()
	}
	if f.err == nil {
		f.err = f.f.Sync()
	}
	if err := f.f.Close(); f.err == nil {
		f.err = err
	}
	if f.err != nil {
		f.err = fmt.Errorf("cannot close file %q: %w", f.name, f.err)
	}
	return f.err
}

// Positions joins the positions of several blocks.
func Positions(metas []Meta) model.PositionSet {
	var s model.PositionSet
	for i := range metas {
		s.Union(metas[i].Positions)
	}
	return s
}
