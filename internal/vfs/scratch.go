package vfs

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
)

var scratches atomic.Int64

// Scratch keeps bytes in a file without a name: it goes when nothing refers to
// it any more, at the latest when the process ends. folder is where its name is
// for a moment, which begins with '~'; after a crash in that moment a file of
// that name is left, and is written over one day.
func Scratch(fsys FS, folder string, data []byte) (io.ReaderAt, error) {
	path := filepath.Join(folder, fmt.Sprint("~scratch-", scratches.Add(1)))
	f, err := fsys.Create(path)
	if err != nil {
		return nil, fmt.Errorf("cannot make a scratch file: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, fsys.Remove(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write a scratch file of %d bytes: %w", len(data), err), f.Close())
	}
	return f, nil
}
