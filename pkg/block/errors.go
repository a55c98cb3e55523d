package block

import (
	"errors"
	"fmt"
)

// ErrCorrupt is matched (errors.Is) by every error that reports damaged data.
var ErrCorrupt = errors.New("corrupt data")

// ErrVersion is matched by errors about blocks of another format version.
var ErrVersion = errors.New("unsupported format version")

// CorruptionError says where damaged data was found. Offset is in bytes from
// the start of the file, -1 when the file as a whole is meant.
type CorruptionError struct {
	File   string
	Offset int64
	Reason string
}

// Corruptionf makes a CorruptionError.
func Corruptionf(file string, offset int64, format string, args ...any) error {
	return &CorruptionError{File: file, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

func (e *CorruptionError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("corrupt data in file %q: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("corrupt data in file %q at offset %d: %s", e.File, e.Offset, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) hold.
func (e *CorruptionError) Is(target error) bool { return target == ErrCorrupt }
