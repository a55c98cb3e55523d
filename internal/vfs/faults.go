package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Op is one operation about to happen on a file system made by WithFaults.
type Op struct {
	// Kind is create, append, open, read, write, sync, truncate, close, rename,
	// remove, removeall, mkdir, readdir, stat, syncdir or lock.
	Kind string
	Path string
	// To is the new path of a rename.
	To string
	// Size is of a write, read or truncate, in bytes.
	Size int64
}

// String returns "rename a -> b" and the like: a line of a golden file.
func (o Op) String() string {
	if o.To != "" {
		return fmt.Sprintf("%s %s -> %s", o.Kind, o.Path, o.To)
	}
	return o.Kind + " " + o.Path
}

// PartialWrite, returned by a fault hook for a write, lets the first N bytes
// through before Err.
type PartialWrite struct {
	N   int
	Err error
}

func (p *PartialWrite) Error() string { return p.Err.Error() }

// Unwrap returns the error that the writer sees.
func (p *PartialWrite) Unwrap() error { return p.Err }

// WithFaults wraps a file system: before each operation hook is called, and an
// error that it returns is the operation's result; the operation then does not
// happen. A hook may also just record what it sees. It is called from many
// goroutines.
func WithFaults(fsys FS, hook func(Op) error) FS { return &faultFS{fsys, hook} }

type faultFS struct {
	fs   FS
	hook func(Op) error
}

func (f *faultFS) file(kind, path string, open func(string) (File, error)) (File, error) {
	if err := f.hook(Op{Kind: kind, Path: path}); err != nil {
		return nil, err
	}
	inner, err := open(path)
	if err != nil {
		return nil, err
	}
	return &faultFile{inner, path, f.hook}, nil
}

func (f *faultFS) Create(path string) (File, error) { return f.file("create", path, f.fs.Create) }
func (f *faultFS) OpenAppend(path string) (File, error) {
	return f.file("append", path, f.fs.OpenAppend)
}
func (f *faultFS) Open(path string) (File, error) { return f.file("open", path, f.fs.Open) }

func (f *faultFS) ReadFile(path string) ([]byte, error) {
	if err := f.hook(Op{Kind: "read", Path: path}); err != nil {
		return nil, err
	}
	return f.fs.ReadFile(path)
}

func (f *faultFS) Rename(oldPath, newPath string) error {
	if err := f.hook(Op{Kind: "rename", Path: oldPath, To: newPath}); err != nil {
		return err
	}
	return f.fs.Rename(oldPath, newPath)
}

func (f *faultFS) do(kind, path string, op func(string) error) error {
	if err := f.hook(Op{Kind: kind, Path: path}); err != nil {
		return err
	}
	return op(path)
}

func (f *faultFS) Remove(path string) error    { return f.do("remove", path, f.fs.Remove) }
func (f *faultFS) RemoveAll(path string) error { return f.do("removeall", path, f.fs.RemoveAll) }
func (f *faultFS) MkdirAll(path string) error  { return f.do("mkdir", path, f.fs.MkdirAll) }
func (f *faultFS) SyncDir(path string) error   { return f.do("syncdir", path, f.fs.SyncDir) }

func (f *faultFS) ReadDir(path string) ([]fs.DirEntry, error) {
	if err := f.hook(Op{Kind: "readdir", Path: path}); err != nil {
		return nil, err
	}
	return f.fs.ReadDir(path)
}

func (f *faultFS) Stat(path string) (fs.FileInfo, error) {
	if err := f.hook(Op{Kind: "stat", Path: path}); err != nil {
		return nil, err
	}
	return f.fs.Stat(path)
}

func (f *faultFS) Lock(path string) (io.Closer, error) {
	if err := f.hook(Op{Kind: "lock", Path: path}); err != nil {
		return nil, err
	}
	return f.fs.Lock(path)
}

type faultFile struct {
	File
	path string
	hook func(Op) error
}

func (f *faultFile) Read(p []byte) (int, error) {
	if err := f.hook(Op{Kind: "read", Path: f.path, Size: int64(len(p))}); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.hook(Op{Kind: "read", Path: f.path, Size: int64(len(p))}); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) Write(p []byte) (int, error) {
	err := f.hook(Op{Kind: "write", Path: f.path, Size: int64(len(p))})
	if err == nil {
		return f.File.Write(p)
	}
	var part *PartialWrite
	if !errors.As(err, &part) {
		return 0, err
	}
	n, werr := f.File.Write(p[:min(len(p), max(0, part.N))])
	return n, errors.Join(part.Err, werr)
}

func (f *faultFile) Sync() error {
	if err := f.hook(Op{Kind: "sync", Path: f.path}); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.hook(Op{Kind: "truncate", Path: f.path, Size: size}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Close() error {
	err := f.hook(Op{Kind: "close", Path: f.path})
	if cerr := f.File.Close(); err == nil { // the descriptor is gone either way
		err = cerr
	}
	return err
}
