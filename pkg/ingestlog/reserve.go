package ingestlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
)

const reserveName = "reserve"

// holdReserve makes the file that keeps disk space back, if it is not there.
func (l *Log) holdReserve() error {
	if l.o.ReserveBytes <= 0 {
		return nil
	}
	path := filepath.Join(l.o.Dir, reserveName)
	if info, err := l.o.FS.Stat(path); err == nil && info.Size() == l.o.ReserveBytes {
		return nil
	}
	f, err := l.o.FS.Create(path)
	if err != nil {
		return fmt.Errorf("cannot keep %d bytes of disk in reserve: %w", l.o.ReserveBytes, err)
	}
	zeros := make([]byte, min(mib, l.o.ReserveBytes))
	for left := l.o.ReserveBytes; left > 0 && err == nil; left -= int64(len(zeros)) {
		_, err = f.Write(zeros[:min(left, int64(len(zeros)))])
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		// Half a reserve would eat the room that the stores need.
		err = errors.Join(err, l.o.FS.Remove(path))
		return fmt.Errorf("cannot keep %d bytes of disk in reserve: %w", l.o.ReserveBytes, err)
	}
	return nil
}

// giveReserve gives the space back when the disk is full: the stores need it to
// flush what they hold, and removing segments may need it too.
func (l *Log) giveReserve(cause error) {
	if l.o.ReserveBytes <= 0 || !errors.Is(cause, syscall.ENOSPC) && !errors.Is(cause, syscall.EDQUOT) {
		return
	}
	path := filepath.Join(l.o.Dir, reserveName)
	if _, err := l.o.FS.Stat(path); err != nil {
		return
	}
	if err := l.o.FS.Remove(path); err != nil {
		l.o.Logger.Warn("cannot give the disk reserve back", "error", err)
		return
	}
	l.o.Logger.Warn("disk is full; the reserve was given back so that the stores can flush", "bytes", l.o.ReserveBytes)
}
