package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"braid/internal/vfs"
	"braid/pkg/tenant"
)

// Listing is what List found.
type Listing struct {
	// Blocks are whole, ordered by tenant, then id.
	Blocks []*Block
	// Problems say what was set aside or could not be read, file and reason; the
	// blocks that they are about are not in Blocks. Log them, count them.
	Problems []error
	// Removed are the folders of half work that were cleaned up.
	Removed []string
}

// List finds the blocks below dir and cleans up after a crash: half-written
// and replaced blocks are removed, damaged ones set aside. One bad block never
// hides the others. Call it when a store opens, before any Writer: a block in
// the making would be taken for a leftover. A folder that does not exist is an
// empty listing; only a folder that cannot be read is an error.
func List(ctx context.Context, fsys vfs.FS, dir string) (*Listing, error) {
	l := &Listing{}
	entries, err := readDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		// A store's own files beside the tenants have names no tenant can have.
		t, err := tenant.Parse(e.Name())
		if !e.IsDir() || err != nil {
			continue
		}
		if err := l.tenant(ctx, fsys, filepath.Join(dir, e.Name()), t); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func readDir(fsys vfs.FS, dir string) ([]fs.DirEntry, error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list blocks in %q: %w", dir, err)
	}
	return entries, nil
}

func (l *Listing) tenant(ctx context.Context, fsys vfs.FS, dir string, t tenant.ID) error {
	entries, err := readDir(fsys, dir)
	if err != nil {
		l.Problems = append(l.Problems, err)
		return nil
	}
	var found []*Block
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			l.clean(fsys, path)
			continue
		}
		if _, err := ParseID(e.Name()); err != nil {
			continue // set aside earlier, or not ours
		}
		if b := l.open(fsys, path); b != nil {
			found = append(found, b)
		}
	}
	l.Blocks = append(l.Blocks, l.dropReplaced(fsys, found)...)
	return nil
}

func (l *Listing) clean(fsys vfs.FS, path string) {
	if err := fsys.RemoveAll(path); err != nil {
		l.Problems = append(l.Problems, fmt.Errorf("cannot remove the half-written block %q: %w", path, err))
		return
	}
	l.Removed = append(l.Removed, path)
}

// open reads one block's meta and looks at its files; a damaged one is set
// aside. What cannot be read for another reason (permissions, an I/O error, a
// newer version) is left where it is and reported.
func (l *Listing) open(fsys vfs.FS, path string) *Block {
	b, err := Open(fsys, path)
	if err == nil {
		return b
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		bad, qerr := Quarantine(fsys, path)
		if qerr == nil {
			err = fmt.Errorf("set damaged block aside as %q: %w", bad, err)
		} else {
			err = errors.Join(err, qerr)
		}
	}
	l.Problems = append(l.Problems, err)
	return nil
}

// Open reads the meta of the block in a folder and checks that its files are
// there and as long as they should be. It changes nothing on the disk.
func Open(fsys vfs.FS, dir string) (*Block, error) {
	m, err := ReadMeta(fsys, dir)
	if err != nil {
		return nil, err
	}
	b := &Block{Meta: m, Dir: dir}
	for _, f := range m.Files {
		info, err := fsys.Stat(b.Path(f.Name))
		if err != nil {
			return nil, fmt.Errorf("cannot open block %q: %w", m.ID, err)
		}
		if info.Size() != f.Size {
			return nil, Corruptionf(b.Path(f.Name), -1, "%d bytes long, the meta says %d", info.Size(), f.Size)
		}
	}
	return b, nil
}

func (l *Listing) dropReplaced(fsys vfs.FS, blocks []*Block) []*Block {
	replaced := map[ID]bool{}
	for _, b := range blocks {
		for _, id := range b.Replaces {
			if id != b.ID {
				replaced[id] = true
			}
		}
	}
	return slices.DeleteFunc(blocks, func(b *Block) bool {
		if !replaced[b.ID] {
			return false
		}
		if err := Remove(fsys, b); err != nil {
			l.Problems = append(l.Problems, fmt.Errorf("block is replaced by a merged one: %w", err))
		} else {
			l.Removed = append(l.Removed, b.Dir)
		}
		return true
	})
}
