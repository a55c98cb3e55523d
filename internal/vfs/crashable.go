package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Crashable is a file system in memory that can lose power. A file's content
// is durable as of its last Sync, a folder's names as of its last SyncDir;
// CrashClone returns what a disk might hold after the plug is pulled. Safe for
// concurrent use.
type Crashable struct {
	mu    sync.Mutex // guards all below, nodes included
	root  *node
	locks map[string]bool
}

// node is a file or a folder.
type node struct {
	dir     bool
	live    []byte
	durable []byte // content as of the last Sync

	entries map[string]*node
	// synced is entries as of the last SyncDir, pending the changes since then
	// in order, each of which happens whole or not at all.
	synced  map[string]*node
	pending []change
}

// change sets names to nodes; nil removes the name.
type change map[string]*node

// NewCrashable returns an empty file system with the folder "/".
func NewCrashable() *Crashable {
	return &Crashable{root: newDir(), locks: map[string]bool{}}
}

func newDir() *node { return &node{dir: true, entries: map[string]*node{}, synced: map[string]*node{}} }

// CrashClone returns the file system as it may be found after power loss now.
// With a nil rng everything unsynced is gone. Otherwise, at random: of each
// folder the changes since its last SyncDir up to some point are there, and of
// each file the unsynced content up to some byte, parts of it as zeros. The
// original goes on unchanged. Locks are free in the clone.
func (c *Crashable) CrashClone(rng *rand.Rand) *Crashable {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Crashable{root: crash(c.root, rng), locks: map[string]bool{}}
}

func crash(n *node, rng *rand.Rand) *node {
	if !n.dir {
		data := crashContent(n, rng)
		return &node{live: data, durable: slices.Clone(data)}
	}
	names := map[string]*node{}
	for name, child := range n.synced {
		names[name] = child
	}
	keep := 0
	if rng != nil {
		keep = rng.IntN(len(n.pending) + 1)
	}
	for _, ch := range n.pending[:keep] {
		apply(names, ch)
	}
	out := newDir()
	for _, name := range sortedNames(names) {
		child := crash(names[name], rng)
		out.entries[name], out.synced[name] = child, child
	}
	return out
}

func crashContent(n *node, rng *rand.Rand) []byte {
	if rng == nil || rng.IntN(3) == 0 {
		return slices.Clone(n.durable)
	}
	if len(n.live) <= len(n.durable) {
		return slices.Clone(n.live)
	}
	from := len(n.durable)
	data := slices.Clone(n.live[:from+rng.IntN(len(n.live)-from+1)])
	if rng.IntN(2) == 0 && len(data) > from {
		clear(data[from+rng.IntN(len(data)-from):]) // the length arrived, the data did not
	}
	return data
}

func sortedNames(m map[string]*node) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

func apply(names map[string]*node, ch change) {
	for name, child := range ch {
		if child == nil {
			delete(names, name)
		} else {
			names[name] = child
		}
	}
}

func (n *node) change(ch change) {
	apply(n.entries, ch)
	n.pending = append(n.pending, ch)
}

func split(path string) []string {
	path = filepath.ToSlash(filepath.Clean("/" + path))
	if path == "/" {
		return nil
	}
	return strings.Split(path[1:], "/")
}

// find walks to a path; nil when it is not there.
func (c *Crashable) find(path string) *node {
	n := c.root
	for _, name := range split(path) {
		if n == nil || !n.dir {
			return nil
		}
		n = n.entries[name]
	}
	return n
}

func pathError(op, path string, err error) error { return &fs.PathError{Op: op, Path: path, Err: err} }

// parent returns the folder of a path and its last name.
func (c *Crashable) parent(op, path string) (*node, string, error) {
	n := c.find(filepath.Dir(filepath.Clean("/" + path)))
	if n == nil || !n.dir || len(split(path)) == 0 {
		return nil, "", pathError(op, path, fs.ErrNotExist)
	}
	return n, filepath.Base(path), nil
}

func (c *Crashable) open(path string, create, truncate, write bool) (File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, name, err := c.parent("open", path)
	if err != nil {
		return nil, err
	}
	n := dir.entries[name]
	switch {
	case n == nil && !create:
		return nil, pathError("open", path, fs.ErrNotExist)
	case n == nil:
		n = &node{}
		dir.change(change{name: n})
	case n.dir && write:
		return nil, pathError("open", path, fmt.Errorf("is a folder"))
	}
	if truncate {
		n.live = nil
	}
	return &memFile{c: c, n: n, name: name, write: write}, nil
}

// Create implements FS.
func (c *Crashable) Create(path string) (File, error) { return c.open(path, true, true, true) }

// OpenAppend implements FS.
func (c *Crashable) OpenAppend(path string) (File, error) { return c.open(path, true, false, true) }

// Open implements FS.
func (c *Crashable) Open(path string) (File, error) { return c.open(path, false, false, false) }

// ReadFile implements FS.
func (c *Crashable) ReadFile(path string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.find(path)
	if n == nil || n.dir {
		return nil, pathError("read", path, fs.ErrNotExist)
	}
	return slices.Clone(n.live), nil
}

// Rename implements FS. A rename between two folders is two changes.
func (c *Crashable) Rename(oldPath, newPath string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, oldName, err := c.parent("rename", oldPath)
	if err != nil {
		return err
	}
	to, newName, err := c.parent("rename", newPath)
	if err != nil {
		return err
	}
	n := from.entries[oldName]
	if n == nil {
		return pathError("rename", oldPath, fs.ErrNotExist)
	}
	if old := to.entries[newName]; old != nil && old.dir && len(old.entries) > 0 {
		return pathError("rename", newPath, fs.ErrExist)
	}
	if from == to {
		if oldName != newName {
			from.change(change{oldName: nil, newName: n})
		}
		return nil
	}
	to.change(change{newName: n})
	from.change(change{oldName: nil})
	return nil
}

// Remove implements FS.
func (c *Crashable) Remove(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, name, err := c.parent("remove", path)
	if err != nil {
		return err
	}
	n := dir.entries[name]
	if n == nil {
		return pathError("remove", path, fs.ErrNotExist)
	}
	if n.dir && len(n.entries) > 0 {
		return pathError("remove", path, fmt.Errorf("folder is not empty"))
	}
	dir.change(change{name: nil})
	return nil
}

// RemoveAll implements FS. After power loss any part of the tree may be left.
func (c *Crashable) RemoveAll(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, name, err := c.parent("remove", path)
	if err != nil || dir.entries[name] == nil {
		return nil
	}
	var empty func(n *node)
	empty = func(n *node) {
		for _, name := range sortedNames(n.entries) {
			empty(n.entries[name])
			n.change(change{name: nil})
		}
	}
	empty(dir.entries[name])
	dir.change(change{name: nil})
	return nil
}

// MkdirAll implements FS.
func (c *Crashable) MkdirAll(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.root
	for _, name := range split(path) {
		child := n.entries[name]
		if child == nil {
			child = newDir()
			n.change(change{name: child})
		}
		if !child.dir {
			return pathError("mkdir", path, fs.ErrExist)
		}
		n = child
	}
	return nil
}

// ReadDir implements FS.
func (c *Crashable) ReadDir(path string) ([]fs.DirEntry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.find(path)
	if n == nil || !n.dir {
		return nil, pathError("readdir", path, fs.ErrNotExist)
	}
	var out []fs.DirEntry
	for _, name := range sortedNames(n.entries) {
		out = append(out, fs.FileInfoToDirEntry(n.entries[name].info(name)))
	}
	return out, nil
}

// Stat implements FS.
func (c *Crashable) Stat(path string) (fs.FileInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.find(path)
	if n == nil {
		return nil, pathError("stat", path, fs.ErrNotExist)
	}
	return n.info(filepath.Base(path)), nil
}

// SyncDir implements FS.
func (c *Crashable) SyncDir(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.find(path)
	if n == nil || !n.dir {
		return pathError("sync", path, fs.ErrNotExist)
	}
	for _, ch := range n.pending {
		apply(n.synced, ch)
	}
	n.pending = nil
	return nil
}

// Lock implements FS.
func (c *Crashable) Lock(path string) (io.Closer, error) {
	f, err := c.open(path, true, false, true)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	path = filepath.Clean(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.locks[path] {
		return nil, fmt.Errorf("cannot lock %s: another process holds it", path)
	}
	c.locks[path] = true
	return unlocker(func() { c.mu.Lock(); delete(c.locks, path); c.mu.Unlock() }), nil
}

type unlocker func()

func (u unlocker) Close() error { u(); return nil }

// info describes a node; its clock stands still.
func (n *node) info(name string) fs.FileInfo {
	return fileInfo{name: name, size: int64(len(n.live)), dir: n.dir}
}

type fileInfo struct {
	name string
	size int64
	dir  bool
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.dir }
func (i fileInfo) Sys() any           { return nil }
func (i fileInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | dirMode
	}
	return fileMode
}

// memFile is an open file of a Crashable: writes go to the end.
type memFile struct {
	c      *Crashable
	n      *node
	name   string
	at     int
	write  bool
	closed bool
}

func (f *memFile) check(write bool) error {
	if f.closed || write && !f.write {
		return pathError("use", f.name, fs.ErrClosed)
	}
	return nil
}

func (f *memFile) Read(p []byte) (int, error) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if err := f.check(false); err != nil {
		return 0, err
	}
	if f.at >= len(f.n.live) {
		return 0, io.EOF
	}
	n := copy(p, f.n.live[f.at:])
	f.at += n
	return n, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if err := f.check(false); err != nil {
		return 0, err
	}
	if off < 0 || off >= int64(len(f.n.live)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.live[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if err := f.check(true); err != nil {
		return 0, err
	}
	f.n.live = append(f.n.live, p...)
	return len(p), nil
}

func (f *memFile) Sync() error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if err := f.check(false); err != nil {
		return err
	}
	f.n.durable = slices.Clone(f.n.live)
	return nil
}

func (f *memFile) Truncate(size int64) error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if err := f.check(true); err != nil {
		return err
	}
	if grow := size - int64(len(f.n.live)); grow > 0 {
		f.n.live = append(f.n.live, make([]byte, grow)...)
	}
	f.n.live = slices.Clone(f.n.live[:size])
	return nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	return f.n.info(f.name), nil
}

func (f *memFile) Close() error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}
