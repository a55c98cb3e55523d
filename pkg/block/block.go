package block

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"braid/internal/vfs"
)

// Block is a published block: its meta and the folder it lies in. Immutable.
type Block struct {
	Meta
	Dir string
}

// Path returns where a file of the block lies.
func (b *Block) Path(name string) string { return filepath.Join(b.Dir, name) }

// Open opens a file of the block for reading and checks its size against the
// meta. The content is not verified: the store's own checksums (a page's, a
// section's) are for that.
func (b *Block) Open(fsys vfs.FS, name string) (vfs.File, error) {
	want, ok := b.File(name)
	if !ok {
		return nil, Corruptionf(b.Path(MetaName), -1, "names no file %q", name)
	}
	f, err := fsys.Open(b.Path(name))
	if err != nil {
		return nil, fmt.Errorf("cannot open file %q of block %q: %w", name, b.ID, err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != want.Size {
		err = Corruptionf(b.Path(name), -1, "%d bytes long, the meta says %d", info.Size(), want.Size)
	}
	if err != nil {
		return nil, errorsJoinClose(err, f)
	}
	return f, nil
}

// ReadFile reads a whole file of the block and verifies size and checksum.
// The bytes belong to the caller.
func (b *Block) ReadFile(fsys vfs.FS, name string) ([]byte, error) {
	want, ok := b.File(name)
	if !ok {
		return nil, Corruptionf(b.Path(MetaName), -1, "names no file %q", name)
	}
	data, err := fsys.ReadFile(b.Path(name))
	if err != nil {
		return nil, fmt.Errorf("cannot read file %q of block %q: %w", name, b.ID, err)
	}
	if int64(len(data)) != want.Size {
		return nil, Corruptionf(b.Path(name), -1, "%d bytes long, the meta says %d", len(data), want.Size)
	}
	if got := crc32.Checksum(data, castagnoli); got != want.CRC {
		return nil, Corruptionf(b.Path(name), -1, "checksum %08x, the meta says %08x", got, want.CRC)
	}
	return data, nil
}

// Verify reads every file of the block and compares sizes and checksums. It
// needs a fixed small buffer whatever the files' size.
func (b *Block) Verify(ctx context.Context, fsys vfs.FS) error {
	buf := make([]byte, verifyBuffer)
	for _, want := range b.Files {
		f, err := b.Open(fsys, want.Name)
		if err != nil {
			return err
		}
		got, err := checksum(ctx, f, buf)
		if err == nil && got != want.CRC {
			err = Corruptionf(b.Path(want.Name), -1, "checksum %08x, the meta says %08x", got, want.CRC)
		}
		if err = errorsJoinClose(err, f); err != nil {
			return fmt.Errorf("cannot verify block %q: %w", b.ID, err)
		}
	}
	return nil
}

const verifyBuffer = 256 << 10

func checksum(ctx context.Context, r io.Reader, buf []byte) (uint32, error) {
	crc := uint32(0)
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := r.Read(buf)
		crc = crc32.Update(crc, castagnoli, buf[:n])
		if err == io.EOF {
			return crc, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// errorsJoinClose closes c and returns err, or the error of closing.
func errorsJoinClose(err error, c io.Closer) error {
	if cerr := c.Close(); err == nil {
		return cerr
	}
	return err
}

// Remove deletes a published block. It first takes the block's name away
// durably, so that a crash in between leaves no half of a block.
func Remove(fsys vfs.FS, b *Block) error {
	if err := removeDir(fsys, b.Dir); err != nil {
		return fmt.Errorf("cannot remove block %q: %w", b.ID, err)
	}
	return nil
}

func removeDir(fsys vfs.FS, dir string) error {
	parent := filepath.Dir(dir)
	tmp := filepath.Join(parent, tmpPrefix+filepath.Base(dir))
	if err := fsys.RemoveAll(tmp); err != nil {
		return err
	}
	if err := fsys.Rename(dir, tmp); err != nil {
		return err
	}
	if err := fsys.SyncDir(parent); err != nil {
		return err
	}
	return fsys.RemoveAll(tmp)
}

// Quarantine sets a damaged block aside as "bad-<id>", where no List finds it
// and an operator can look at it. It returns the new folder.
func Quarantine(fsys vfs.FS, dir string) (string, error) {
	parent, base := filepath.Split(filepath.Clean(dir))
	for n := 1; n <= maxQuarantined; n++ {
		bad := filepath.Join(parent, badPrefix+base)
		if n > 1 {
			bad = fmt.Sprintf("%s.%d", bad, n)
		}
		if _, err := fsys.Stat(bad); err == nil {
			continue
		}
		if err := fsys.Rename(dir, bad); err != nil {
			return "", fmt.Errorf("cannot set damaged block %q aside: %w", dir, err)
		}
		if err := fsys.SyncDir(parent); err != nil {
			return "", fmt.Errorf("cannot set damaged block %q aside: %w", dir, err)
		}
		return bad, nil
	}
	return "", fmt.Errorf("cannot set damaged block %q aside: %d of that name are there already; remove some", dir, maxQuarantined)
}

const maxQuarantined = 100
