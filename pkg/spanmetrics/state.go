package spanmetrics

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// The file "state" is stateMagic, the CRC-32 (Castagnoli) of the rest as four
// bytes big-endian, and the rest: the length of a state as encoding/gob writes it
// (four bytes big-endian) and that, without what waits; then, in the order of its
// tenants, what waits in each, its length (eight bytes big-endian) before it. In
// version 2 the rest is a state as gob writes it.
const (
	stateFile      = "state"
	stateMagic     = "braid span metrics 3\n"
	formerMagic    = "braid span metrics 2\n"
	waitingLenSize = 8
)

// state is what is on disk.
type state struct {
	Counted                      string // a model.PositionSet
	LatencyBuckets, GraphBuckets []float64
	Dimensions                   []string
	Tenants                      []tenantState
}

type tenantState struct {
	Tenant  string
	Classes []class
	Vacant  []uint32
	Seen    []int64
	Texts   []string
	Ops     []opState
	Edges   []edgeState
	Waiting []byte // traces and their spans: see appendTraces
}

type opState struct {
	Number uint32
	Counts counts
}

type edgeState struct {
	Edge   edge
	Counts counts
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// save writes the state; nothing when all of it is on disk. It needs ticking.
func (g *Generator) save() error {
	settled := g.opts.Settled() // before the copy: what is below it is in there
	g.mu.Lock()
	if !g.dirty {
		g.mu.Unlock()
		return nil
	}
	if settled > 1 {
		g.counted.AddRange(1, settled-1)
	}
	st := state{Counted: g.counted.String(), LatencyBuckets: g.opts.LatencyBuckets, GraphBuckets: g.opts.GraphBuckets, Dimensions: g.opts.Dimensions}
	before := g.opts.Now().Add(-idleAfter).UnixNano()
	for t, w := range g.tenants {
		ta := g.tally(t)
		if len(w.numbers) > g.opts.MaxOperations/2 {
			for _, n := range w.forget(before) {
				if int(n) < len(ta.ops) {
					ta.ops[n] = nil
				}
			}
		}
		ta.forget(before)
		st.Tenants = append(st.Tenants, w.copy(t))
	}
	g.saving, g.unsaved, g.dirty = g.unsaved, 0, false
	g.mu.Unlock()
	for i := range st.Tenants {
		g.tallies[tenant.ID(st.Tenants[i].Tenant)].copy(&st.Tenants[i])
	}
	err := g.writeState(&st)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.dirty = true
		if g.unsaved == 0 || g.saving != 0 && g.saving < g.unsaved {
			g.unsaved = g.saving
		}
	}
	g.saving = 0
	return err
}

func (w *waiting) copy(t tenant.ID) tenantState {
	return tenantState{Tenant: string(t), Classes: slices.Clone(w.classes), Vacant: slices.Clone(w.vacant), Seen: slices.Clone(w.seen),
		Texts: w.texts, Waiting: w.appendTraces(make([]byte, 0, 40*len(w.traces)+48*w.held))}
}

func (ta *tally) copy(st *tenantState) {
	for n, op := range ta.ops {
		if op != nil {
			st.Ops = append(st.Ops, opState{uint32(n), op.counts})
		}
	}
	for e, c := range ta.edges {
		st.Edges = append(st.Edges, edgeState{e, *c})
	}
}

// writeState writes what waits from where it is: it is most of a state.
func (g *Generator) writeState(st *state) error {
	parts, err := encodeState(st)
	if err != nil {
		return err
	}
	return replaceFile(g.opts.FS, g.opts.Dir, stateFile, parts)
}

// encodeState returns the file's parts, one behind the other.
func encodeState(st *state) ([][]byte, error) {
	small := *st
	small.Tenants = slices.Clone(st.Tenants)
	for i := range small.Tenants {
		small.Tenants[i].Waiting = nil
	}
	var b bytes.Buffer
	head := len(stateMagic)
	b.WriteString(stateMagic)
	b.Write(make([]byte, 8))
	if err := gob.NewEncoder(&b).Encode(&small); err != nil {
		return nil, fmt.Errorf("cannot encode the state: %w", err)
	}
	first := b.Bytes()
	if uint64(len(first)) > math.MaxUint32 {
		return nil, fmt.Errorf("cannot encode the state: %d bytes of counters", len(first))
	}
	binary.BigEndian.PutUint32(first[head+4:], uint32(len(first)-head-8))
	parts := [][]byte{first}
	for i := range st.Tenants {
		w := st.Tenants[i].Waiting
		parts = append(parts, binary.BigEndian.AppendUint64(nil, uint64(len(w))), w)
	}
	sum := crc32.Checksum(first[head+4:], castagnoli)
	for _, p := range parts[1:] {
		sum = crc32.Update(sum, castagnoli, p)
	}
	binary.BigEndian.PutUint32(first[head:], sum)
	return parts, nil
}

// replaceFile puts a file of some parts into its place in one step, durably.
func replaceFile(fsys vfs.FS, dir, name string, parts [][]byte) error {
	path := filepath.Join(dir, name)
	f, err := fsys.Create(path + ".tmp")
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err == nil {
			_, err = f.Write(p)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(path+".tmp", path); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// load reads the state. One that is damaged is set aside: counters then begin
// anew, which rate() understands.
func (g *Generator) load() error {
	if err := vfs.MkdirAllDurable(g.opts.FS, g.opts.Dir); err != nil {
		return err
	}
	path := filepath.Join(g.opts.Dir, stateFile)
	raw, err := g.opts.FS.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := decodeState(raw)
	if err == nil {
		err = g.adopt(st)
	}
	if err != nil {
		g.opts.Logger.Error("the state of the span metrics is damaged and was set aside; counters begin anew", "file", path+".damaged", "err", err)
		g.counted, g.tenants, g.tallies = model.PositionSet{}, map[tenant.ID]*waiting{}, map[tenant.ID]*tally{}
		return g.opts.FS.Rename(path, path+".damaged")
	}
	return nil
}

var errParts = errors.New("a part of the state is longer than the file")

func decodeState(raw []byte) (*state, error) {
	head := len(stateMagic)
	if len(raw) < head+4 || string(raw[:head]) != stateMagic && string(raw[:head]) != formerMagic {
		return nil, errors.New("not a state of this version")
	}
	rest := raw[head+4:]
	if binary.BigEndian.Uint32(raw[head:]) != crc32.Checksum(rest, castagnoli) {
		return nil, errors.New("checksum does not match")
	}
	st := &state{}
	if string(raw[:head]) == formerMagic {
		return st, gob.NewDecoder(bytes.NewReader(rest)).Decode(st)
	}
	if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
		return nil, errParts
	}
	n := 4 + int(binary.BigEndian.Uint32(rest))
	if err := gob.NewDecoder(bytes.NewReader(rest[4:n])).Decode(st); err != nil {
		return nil, err
	}
	for rest, i := rest[n:], 0; i < len(st.Tenants); i++ {
		if len(rest) < waitingLenSize || binary.BigEndian.Uint64(rest) > uint64(len(rest)-waitingLenSize) {
			return nil, errParts
		}
		n := waitingLenSize + int(binary.BigEndian.Uint64(rest))
		st.Tenants[i].Waiting, rest = rest[waitingLenSize:n], rest[n:]
	}
	return st, nil
}

// adopt makes a state the present one. Counts under other settings cannot go
// on: their series begin anew.
func (g *Generator) adopt(st *state) error {
	if err := g.counted.UnmarshalText([]byte(st.Counted)); err != nil {
		return err
	}
	same := slices.Equal(st.LatencyBuckets, g.opts.LatencyBuckets) && slices.Equal(st.GraphBuckets, g.opts.GraphBuckets) &&
		(len(st.Dimensions) == 0 && len(g.opts.Dimensions) == 0 || reflect.DeepEqual(st.Dimensions, g.opts.Dimensions))
	for i := range st.Tenants {
		x := &st.Tenants[i]
		w := newWaiting(g.opts.MaxOperations, g.opts.Dimensions)
		if err := w.adopt(x); err != nil {
			return fmt.Errorf("tenant %q: %w", x.Tenant, err)
		}
		g.tenants[tenant.ID(x.Tenant)] = w
		ta := newTally(&g.opts)
		g.tallies[tenant.ID(x.Tenant)] = ta
		if !same {
			continue
		}
		for _, op := range x.Ops {
			if int(op.Number) >= len(w.classes) {
				return fmt.Errorf("tenant %q: operation %d of %d", x.Tenant, op.Number, len(w.classes))
			}
			for int(op.Number) >= len(ta.ops) {
				ta.ops = append(ta.ops, nil)
			}
			ta.ops[op.Number] = &operation{w.classes[op.Number], op.Counts}
		}
		for _, e := range x.Edges {
			c := e.Counts
			ta.edges[e.Edge] = &c
		}
	}
	return nil
}

func (w *waiting) adopt(x *tenantState) error {
	if len(x.Seen) != len(x.Classes) {
		return errors.New("tables of unequal length")
	}
	w.classes, w.vacant, w.seen = x.Classes, x.Vacant, x.Seen
	if len(x.Texts) > 0 {
		w.texts = x.Texts
	}
	for n, s := range w.texts {
		w.textNo[s] = uint32(n)
	}
	for n, c := range w.classes {
		if !slices.Contains(w.vacant, uint32(n)) {
			w.numbers[classKey{w.text(c.Service), c.Name, c.Dims, c.Kind, c.Status}] = uint32(n)
		}
	}
	return w.readTraces(x.Waiting)
}

// formatBound writes a bucket's bound as Prometheus does.
func formatBound(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
