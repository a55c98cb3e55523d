package block

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// FormatVersion is the version of meta.json that this package writes. The
// formats of the files beside it are the stores', with versions of their own.
const FormatVersion = 1

// MetaName is the file that makes a folder a block.
const MetaName = "meta.json"

// maxMetaBytes bounds what is read of a meta: a merged block of ten thousand
// inputs stays below 1 MiB.
const maxMetaBytes = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Meta describes a block. It is immutable once the block is published.
type Meta struct {
	Version int       `json:"version"`
	ID      ID        `json:"id"`
	Tenant  tenant.ID `json:"tenant"`
	// Signal names the store: "logs", "spans", "exemplars".
	Signal string `json:"signal"`
	// MinTime and MaxTime are those of the rows, Unix nanoseconds, inclusive.
	MinTime int64 `json:"min_time"`
	MaxTime int64 `json:"max_time"`
	Rows    int64 `json:"rows"`
	// Level is 0 for a flushed head, else one more than the highest input's.
	Level int `json:"level"`
	// Positions are the requests of the ingest log that the block holds.
	Positions model.PositionSet `json:"positions"`
	// Replaces names the blocks whose rows are in this one: see Replacing.
	Replaces []ID   `json:"replaces,omitempty"`
	Files    []File `json:"files"`
	// Stats is the store's own, by name.
	Stats map[string]json.RawMessage `json:"stats,omitempty"`
}

// File is what the meta knows of one file of the block.
type File struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
	CRC  uint32 `json:"crc32c"`
}

// Bytes returns the size of all files, meta.json not counted.
func (m *Meta) Bytes() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// Overlaps reports whether rows of the block may lie in a time range.
func (m *Meta) Overlaps(r model.TimeRange) bool { return r.Overlaps(m.MinTime, m.MaxTime) }

// File returns what is known of a file.
func (m *Meta) File(name string) (File, bool) {
	i := slices.IndexFunc(m.Files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return File{}, false
	}
	return m.Files[i], true
}

// SetStat stores a value under a name in Stats, as JSON.
func (m *Meta) SetStat(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode block stat %q: %w", name, err)
	}
	if m.Stats == nil {
		m.Stats = map[string]json.RawMessage{}
	}
	m.Stats[name] = raw
	return nil
}

// Stat reads a value out of Stats; ok is false when the name is not there.
func (m *Meta) Stat(name string, v any) (ok bool, err error) {
	raw, ok := m.Stats[name]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("cannot decode block stat %q of block %q: %w", name, m.ID, err)
	}
	return true, nil
}

// Replacing returns what a merge of these blocks puts into Replaces: their
// ids, and those they replaced, so that a removal that failed twice is still
// caught up with.
func Replacing(inputs []Meta) []ID {
	var out []ID
	for i := range inputs {
		out = append(out, inputs[i].ID)
		out = append(out, inputs[i].Replaces...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// envelope is the shape of meta.json: the checksum is of the exact bytes of
// the value of "meta".
type envelope struct {
	CRC  *uint32         `json:"crc32c"`
	Meta json.RawMessage `json:"meta"`
}

func encodeMeta(m *Meta) ([]byte, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the meta of block %q: %w", m.ID, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"crc32c\": %d, \"meta\": %s}\n", crc32.Checksum(raw, castagnoli), raw)
	if b.Len() > maxMetaBytes {
		return nil, fmt.Errorf("cannot write the meta of block %q: %d bytes, at most %d are allowed; keep less in stats", m.ID, b.Len(), maxMetaBytes)
	}
	return b.Bytes(), nil
}

func decodeMeta(path string, data []byte) (Meta, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return Meta{}, Corruptionf(path, -1, "not JSON: %v", err)
	}
	if e.CRC == nil || len(e.Meta) == 0 {
		return Meta{}, Corruptionf(path, -1, "no checksum or no meta in it")
	}
	if got := crc32.Checksum(e.Meta, castagnoli); got != *e.CRC {
		return Meta{}, Corruptionf(path, -1, "checksum %08x, expected %08x", got, *e.CRC)
	}
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(e.Meta, &v); err != nil {
		return Meta{}, Corruptionf(path, -1, "no version: %v", err)
	}
	if v.Version != FormatVersion {
		return Meta{}, fmt.Errorf("cannot read %q: %w: %d, this program knows %d; use the program that wrote it, or a newer one", path, ErrVersion, v.Version, FormatVersion)
	}
	var m Meta
	if err := json.Unmarshal(e.Meta, &m); err != nil {
		return Meta{}, Corruptionf(path, -1, "meta: %v", err)
	}
	return m, nil
}

// ReadMeta reads and checks the meta of the block in a folder: its checksum,
// that the id is the folder's name and the tenant its parent's, and that the
// names of its files stay inside the folder.
func ReadMeta(fsys vfs.FS, dir string) (Meta, error) {
	path := filepath.Join(dir, MetaName)
	info, err := fsys.Stat(path)
	if err != nil {
		return Meta{}, fmt.Errorf("cannot read the meta of block %q: %w", dir, err)
	}
	if info.Size() > maxMetaBytes {
		return Meta{}, Corruptionf(path, -1, "%d bytes long, at most %d are expected", info.Size(), maxMetaBytes)
	}
	data, err := fsys.ReadFile(path)
	if err != nil {
		return Meta{}, fmt.Errorf("cannot read the meta of block %q: %w", dir, err)
	}
	m, err := decodeMeta(path, data)
	if err != nil {
		return Meta{}, err
	}
	if string(m.ID) != filepath.Base(dir) || string(m.Tenant) != filepath.Base(filepath.Dir(dir)) {
		return Meta{}, Corruptionf(path, -1, "says block %q of tenant %q, which is not where it lies", m.ID, m.Tenant)
	}
	for _, f := range m.Files {
		if err := checkFileName(f.Name); err != nil {
			return Meta{}, Corruptionf(path, -1, "%v", err)
		}
	}
	return m, nil
}

// checkFileName allows lower-case names that stay inside the block's folder.
func checkFileName(name string) error {
	if name == "" || len(name) > 100 || name[0] == '.' || name == MetaName {
		return fmt.Errorf("file name %q is not allowed in a block", name)
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			continue
		}
		return fmt.Errorf("file name %q of a block has the character %q; a-z, 0-9 and .-_ are allowed", name, c)
	}
	return nil
}
