package tracestore

import (
	"context"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
)

// sidecarSeed returns the sections of a real sidecar, unpacked.
func sidecarSeed(tb testing.TB) (sections map[uint8][]byte, file []byte, z *zstd.Decoder) {
	s, err := Open(Options{FS: vfs.NewCrashable(), Dir: "/t", Manual: true})
	require.NoError(tb, err)
	m := newSpanMaker(4)
	spans, _ := m.batch(12)
	_, err = s.AppendSpans(context.Background(), acme, 0, spans)
	require.NoError(tb, err)
	require.NoError(tb, s.Flush(context.Background()))
	b := s.tenant(acme, true).blocks()[0]
	file, err = b.ReadFile(s.opts.FS, fileSidecar)
	require.NoError(tb, err)
	require.NoError(tb, s.Close())
	z, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(64<<20))
	require.NoError(tb, err)
	sections = map[uint8][]byte{}
	at := 5
	for id := secTables; id < secEnd; id++ {
		raw, n, err := readSection("seed", file, at, id, z)
		require.NoError(tb, err)
		sections[id] = raw
		at += n
	}
	return sections, file, z
}

// FuzzSidecarSection feeds the decoders behind the checksums.
func FuzzSidecarSection(f *testing.F) {
	sections, _, z := sidecarSeed(f)
	z.Close()
	for id, raw := range sections {
		f.Add(id, raw)
	}
	f.Fuzz(func(t *testing.T, id uint8, raw []byte) {
		s := &sidecar{}
		for k := secTables; k < secEnd; k++ {
			d := &dec{b: sections[k]}
			if k == id {
				d.b = raw
			}
			s.decodeSection(k, d)
			if d.err != nil {
				return
			}
		}
		if s.check("fuzz") != nil {
			return
		}
		s.bindColumns()
		for i := range min(s.traces.len(), 100) {
			s.facts(uint32(i))
		}
		compile(nil, testSpec).bind(&s.tables)
	})
}

// FuzzSidecar feeds whole files.
func FuzzSidecar(f *testing.F) {
	_, file, z := sidecarSeed(f)
	z.Close()
	f.Add(file)
	f.Add([]byte(sidecarMagic))
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderConcurrency(1))
	require.NoError(f, err)
	defer z.Close()
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = decodeSidecar("fuzz", raw, z)
	})
}

// FuzzPage feeds the page decoder and the header reader.
func FuzzPage(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 3, 1, 0xff, 1}, uint8(typeText), uint8(encPlain), true, uint16(8))
	f.Add(appendDelta(nil, []int64{1, 2, 3}), uint8(typeInt64), uint8(encDelta), false, uint16(3))
	f.Add(append([]byte{2}, appendHybrid(nil, []int32{0, 1, 2, 0}, 2)...), uint8(typeText), uint8(encDict), false, uint16(4))
	f.Fuzz(func(t *testing.T, body []byte, typ, encoding uint8, optional bool, n uint16) {
		d := colDef{name: "x", typ: colType(typ % uint8(typeBytes+1)), width: 8, optional: optional}
		dict := &dictionary{texts: []string{"a", "b", "c"}}
		if d.typ != typeText && d.typ != typeBytes {
			dict = &dictionary{ints: []int64{1, 2, 3}}
		}
		rows := int(n%pageRows) + 1
		var c column
		if !(&decoder{}).page(&c, &d, encoding%3, body, pageHeader{values: rows}, rows, dict) {
			return
		}
		for i := range rows {
			if c.has(i) && d.typ == typeText {
				_ = c.text(i)
			}
		}
		_, _, _ = readPageHeader(body)
	})
}

// FuzzValues feeds the codec of events, links and the attributes that share a
// column.
func FuzzValues(f *testing.F) {
	m := newSpanMaker(6)
	for range 5 {
		var e enc
		s := m.span()
		e.events(s.Events)
		e.links(s.Links)
		e.attrs(s.Attrs)
		f.Add(e.b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := &dec{b: raw}
		ev, li, at := d.events(), d.links(), d.attrs()
		if d.err != nil {
			return
		}
		var e enc
		e.events(ev)
		e.links(li)
		e.attrs(at)
		again := &dec{b: e.b}
		require.Equal(t, ev, again.events())
		require.Equal(t, li, again.links())
		require.Equal(t, at, again.attrs())
	})
}
