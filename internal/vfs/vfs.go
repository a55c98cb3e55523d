// Package vfs is the little of a file system that Braid's stores use, as a
// value: the operating system's (OS), one in memory that can lose power
// (NewCrashable), and one that injects faults (WithFaults). What a test cannot
// do to a disk it can do to these.
package vfs

import (
	"io"
	"io/fs"
)

// FS is a file system. Paths are slash-free of surprises: cleaned, absolute or
// relative to the process. Errors satisfy errors.Is with fs.ErrNotExist and
// fs.ErrExist. Safe for concurrent use.
type FS interface {
	// Create makes or truncates a file for writing and reading.
	Create(path string) (File, error)
	// OpenAppend opens or makes a file whose writes go to its end.
	OpenAppend(path string) (File, error)
	// Open opens a file for reading.
	Open(path string) (File, error)
	ReadFile(path string) ([]byte, error)
	// Rename replaces newPath. It is durable after SyncDir of the parent.
	Rename(oldPath, newPath string) error
	Remove(path string) error
	RemoveAll(path string) error
	MkdirAll(path string) error
	// ReadDir lists a folder, sorted by name.
	ReadDir(path string) ([]fs.DirEntry, error)
	Stat(path string) (fs.FileInfo, error)
	// SyncDir makes creations, renames and removals in a folder durable.
	SyncDir(path string) error
	// Lock takes an exclusive lock on a file, made if absent; it fails at once
	// when another process holds it. Close releases.
	Lock(path string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	// Sync makes the content durable. After an error nothing may be assumed of
	// what was written since the last good Sync.
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}
