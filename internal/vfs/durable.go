package vfs

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// MkdirAllDurable makes a folder and its missing parents, and makes the names
// of those it made durable. The last folder's name is synced in any case: an
// earlier try may have made it and died before it could sync.
func MkdirAllDurable(fsys FS, path string) error {
	path = filepath.Clean(path)
	sync := []string{filepath.Dir(path)}
	for dir := filepath.Dir(path); filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := fsys.Stat(dir); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		sync = append(sync, filepath.Dir(dir))
	}
	if err := fsys.MkdirAll(path); err != nil {
		return err
	}
	for i := len(sync) - 1; i >= 0; i-- {
		if err := fsys.SyncDir(sync[i]); err != nil {
			return err
		}
	}
	return nil
}
