package tracestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/calls"
	"braid/pkg/model"
)

// The file of a block's calls: magic, version, CRC32C of all that follows, and
// zstd of the pieces. See FORMAT.md.
const (
	fileCalls    = "calls"
	callsMagic   = "BRTC"
	callsVersion = 2 // 1 had other buckets of latencies
	callsHead    = len(callsMagic) + 1 + 4
)

// minuteGraphs are the calls of a part, in all and by pieces of step ns of their
// start. Those of a block are immutable once computed.
type minuteGraphs struct {
	step    int64
	whole   *calls.Graph
	minutes map[int64]*calls.Graph // by start / step; nil: only in all
}

func newMinuteGraphs(step int64) *minuteGraphs {
	m := &minuteGraphs{step: step, whole: calls.NewGraph()}
	if step > 0 {
		m.minutes = map[int64]*calls.Graph{}
	}
	return m
}

// at returns the graph that a start counts into.
func (m *minuteGraphs) at(start int64) *calls.Graph {
	if m.minutes == nil {
		return m.whole
	}
	k := floorDiv(start, m.step)
	x := m.minutes[k]
	if x == nil {
		x = calls.NewGraph()
		m.minutes[k] = x
	}
	return x
}

// sum adds the pieces up, which do not change any more.
func (m *minuteGraphs) sum() {
	if len(m.minutes) == 1 {
		for _, x := range m.minutes {
			m.whole = x
		}
		return
	}
	for _, x := range m.minutes {
		m.whole.Merge(x)
	}
}

// covers reports whether all that a piece has is in a range.
func (m *minuteGraphs) covers(piece int64, r model.TimeRange) bool {
	if m.minutes == nil {
		return false
	}
	x := m.minutes[piece]
	return x == nil || r.All() || r.Start <= x.Lo && r.End > x.Hi
}

// addTo adds the calls to wider pieces, or to those of the same width; it is
// false, and nothing done, when the pieces do not lie in theirs.
func (m *minuteGraphs) addTo(o *minuteGraphs) bool {
	switch {
	case o.minutes == nil:
		o.whole.Merge(m.whole)
		return true
	case m.minutes == nil || o.step%m.step != 0:
		return false
	}
	for k, x := range m.minutes {
		o.at(k * m.step).Merge(x)
	}
	return true
}

// graphSteps are the widths of pieces, in seconds, each a multiple of the one
// before: a block has the finest of which it has no more than maxGraphPieces; one
// that late spans make longer has its calls only in all.
var graphSteps = []int64{60, 120, 600, 1200, 3600, 2 * 3600, 6 * 3600, 24 * 3600}

const maxGraphPieces = 24

// graphStepOf returns the width of the pieces of a block, 0 for none.
func graphStepOf(minTime, maxTime int64) int64 {
	for _, s := range graphSteps {
		if (maxTime-minTime)/(s*1e9) < maxGraphPieces {
			return s * 1e9
		}
	}
	return 0
}

func (m *minuteGraphs) encode(z *zstd.Encoder) []byte {
	var e enc
	e.sv(m.step)
	if m.minutes == nil {
		e.uv(1)
		e.sv(0)
		e.b = m.whole.Append(e.b)
	} else {
		e.uv(uint64(len(m.minutes)))
		keys := make([]int64, 0, len(m.minutes))
		for k := range m.minutes {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b int64) int { return cmp.Compare(a, b) })
		for _, k := range keys {
			e.sv(k)
			e.b = m.minutes[k].Append(e.b)
		}
	}
	out := append(append([]byte(callsMagic), callsVersion), 0, 0, 0, 0)
	out = z.EncodeAll(e.b, out)
	binary.LittleEndian.PutUint32(out[callsHead-4:], crc32.Checksum(out[callsHead:], castagnoli))
	return out
}

// errOldCalls says that a block has no file of calls that this program reads.
var errOldCalls = errors.New("no calls of a known version")

func decodeMinuteGraphs(path string, data []byte, z *zstd.Decoder) (*minuteGraphs, error) {
	if len(data) < callsHead || string(data[:4]) != callsMagic {
		return nil, block.Corruptionf(path, 0, "magic is not %q", callsMagic)
	}
	if data[4] != callsVersion {
		return nil, errOldCalls
	}
	if crc32.Checksum(data[callsHead:], castagnoli) != binary.LittleEndian.Uint32(data[callsHead-4:]) {
		return nil, block.Corruptionf(path, int64(callsHead), "checksum differs")
	}
	raw, err := z.DecodeAll(data[callsHead:], nil)
	if err != nil {
		return nil, block.Corruptionf(path, int64(callsHead), "does not unpack: %v", err)
	}
	d := dec{b: raw}
	step := d.sv()
	if step < 0 || step > math.MaxInt64/2 {
		d.fail()
	}
	m := newMinuteGraphs(step)
	for n := d.count(6); n > 0 && d.err == nil; n-- {
		k := d.sv()
		if d.err != nil {
			break
		}
		g, rest, err := calls.ReadGraph(d.b)
		if err != nil {
			d.fail()
			break
		}
		d.b = rest
		if m.minutes == nil {
			m.whole = g
		} else {
			m.minutes[k] = g
		}
	}
	if d.err != nil || len(d.b) > 0 {
		return nil, block.Corruptionf(path, int64(callsHead), "%v", errShort)
	}
	m.sum()
	return m, nil
}

// readCalls reads the calls that lie with the block: as it was written, or, of a
// block of an older program, as they were added later.
func (r *blockReader) readCalls() (*minuteGraphs, error) {
	path := r.Path(fileCalls)
	if _, ok := r.File(fileCalls); ok {
		data, err := r.ReadFile(r.fs, fileCalls)
		if err != nil {
			return nil, err
		}
		return decodeMinuteGraphs(path, data, r.zstd)
	}
	data, err := r.fs.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errOldCalls
	}
	if err != nil {
		return nil, err
	}
	return decodeMinuteGraphs(path, data, r.zstd)
}

// addCalls puts the calls of blocks that older programs wrote beside them, so
// that they are counted once and not after every start.
func (t *tenantStore) addCalls(ctx context.Context) error {
	var errs []error
	for _, b := range t.blocks() {
		if _, ok := b.File(fileCalls); ok || b.callsAdded {
			continue
		}
		if err := t.addCallsOf(ctx, b); err != nil {
			errs = append(errs, err)
		} else {
			b.callsAdded = true
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

func (t *tenantStore) addCallsOf(ctx context.Context, b *blockReader) error {
	if _, err := b.readCalls(); err == nil {
		return nil
	}
	side, err := b.sidecar()
	if err != nil {
		return err
	}
	known, err := (&view{ten: t}).count(ctx, b, side)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	return writeBeside(t.store.opts.FS, b.Path(fileCalls), known.encode(z))
}

// writeBeside adds a file to a published block, whole or not at all.
func writeBeside(fsys vfs.FS, path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, path)
	}
	if err == nil {
		err = fsys.SyncDir(filepath.Dir(path))
	}
	return err
}
