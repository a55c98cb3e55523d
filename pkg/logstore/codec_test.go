package logstore

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// TestIntsComeBack for the shapes that clocks and counters have, and for none.
func TestIntsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 127, 128, 129, 1000, 1024} {
		for name, next := range map[string]func(i int, last int64) int64{
			"constant":  func(int, int64) int64 { return -5 },
			"clock":     func(_ int, last int64) int64 { return last + r.Int64N(2e9) },
			"coarse":    func(_ int, last int64) int64 { return last + r.Int64N(2000)*1e6 },
			"restart":   func(i int, last int64) int64 { return last + r.Int64N(1e6) - int64(i%300/299)*1e9 },
			"small":     func(int, int64) int64 { return r.Int64N(7) },
			"any":       func(int, int64) int64 { return int64(r.Uint64()) },
			"extremes":  func(i int, _ int64) int64 { return []int64{math.MinInt64, math.MaxInt64, 0, -1}[i%4] },
			"one apart": func(i int, _ int64) int64 { return int64(i) },
		} {
			vals := make([]int64, n)
			last := int64(1_700_000_000_000_000_000)
			for i := range vals {
				last = next(i, last)
				vals[i] = last
			}
			enc := appendInts([]byte("x"), vals)
			got, rest, err := readInts(nil, append(enc[1:], "rest"...), n)
			require.NoError(t, err, name)
			require.Equal(t, vals, got, "%s of %d", name, n)
			require.Equal(t, "rest", string(rest), name)
		}
	}
}

// textVector makes a vector of strings; a nil row list has all rows.
func textVector(rows []uint16, texts ...string) *vector {
	v := &vector{form: formText, kind: model.KindString, rows: rows, n: len(texts), offs: []uint32{0}}
	for _, s := range texts {
		v.data = append(v.data, s...)
		v.offs = append(v.offs, uint32(len(v.data)))
	}
	return v
}

// TestTextsComeBack in whatever shape they are kept, and by single rows.
func TestTextsComeBack(t *testing.T) {
	cases := map[string][]string{
		"uuid":          {"0af3c2d1-0000-4abc-8def-0123456789ab", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		"upper uuid":    {"0AF3C2D1-0000-4ABC-8DEF-0123456789AB", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		"hex":           {"00ff12ab34cd56ef", "0000000000000000"},
		"counter":       {"user-1", "user-20", "user-0"},
		"padded":        {"job-0001", "job-0420", "job-9999"},
		"mixed zeros":   {"user-01", "user-1"},
		"long number":   {"n-1234567890123456789"},
		"no prefix":     {"1", "22", "333"},
		"line feeds":    {"a\nb", "", "\n", strings.Repeat("long text ", 100)},
		"empty":         {"", "", ""},
		"not utf-8":     {"\xff\x00", "\xc3"},
		"prefix breaks": {"user-1", "usex-2"},
	}
	for name, texts := range cases {
		for _, sparse := range []bool{false, true} {
			rows, total := []uint16(nil), len(texts)
			if sparse {
				total = 100
				for i := range texts {
					rows = append(rows, uint16(i*7+3))
				}
			}
			v := textVector(rows, texts...)
			enc, err := newEncoder()
			require.NoError(t, err)
			chunk := enc.appendChunk(nil, v, total, nil)
			body, ok := checked(chunk)
			require.True(t, ok)
			key := columnKey{false, "x", model.KindString}
			got, err := chunkReader{}.read(body, key, total, nil, nil)
			require.NoError(t, err, name)
			require.NoError(t, got.expand())
			only := newBitset(total)
			only.set(v.row(len(texts) - 1))
			one, err := chunkReader{mem: &arena{}, only: only}.read(body, key, total, nil, nil)
			require.NoError(t, err, name)
			require.NoError(t, one.expand())
			for i, s := range texts {
				require.Equal(t, v.row(i), got.row(i), name)
				require.Equal(t, s, got.str(i), name)
			}
			require.Equal(t, texts[len(texts)-1], one.str(len(texts)-1), name)
		}
	}
}

// TestDoublesComeBack bit by bit.
func TestDoublesComeBack(t *testing.T) {
	for _, vals := range [][]float64{{1, 2, 3}, {0.5, 12.345, 1e-3}, {math.NaN(), math.Inf(1), math.Copysign(0, -1)}, {1e300, 5e-324}, {1 << 53, -(1 << 53)}, {0.1 + 0.2}} {
		v := &vector{form: formNums, kind: model.KindDouble, n: len(vals)}
		for _, f := range vals {
			v.nums = append(v.nums, math.Float64bits(f))
		}
		enc, err := newEncoder()
		require.NoError(t, err)
		body, ok := checked(enc.appendChunk(nil, v, len(vals), nil))
		require.True(t, ok)
		got, err := chunkReader{}.read(body, columnKey{false, "x", model.KindDouble}, len(vals), nil, nil)
		require.NoError(t, err)
		require.Equal(t, v.nums, got.nums, "%v", vals)
	}
}

// TestWords reads testdata/words.txt: a text, and what becomes of its words.
func TestWords(t *testing.T) {
	data, err := os.ReadFile("testdata/words.txt")
	require.NoError(t, err)
	for _, c := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		text, want, _ := strings.Cut(c, "\n")
		b := newIndexBuilder([]blockColumn{{columnKey: columnKey{true, colBody, model.KindString}}})
		b.add(0, 0, textVector(nil, text))
		var got []string
		for _, term := range b.terms {
			got = append(got, indexFields[term.field]+" "+string(b.text[term.off:][:term.size]))
		}
		got = append(got, fmt.Sprintf("ids %d", b.ids.Len()))
		require.Equal(t, want, strings.Join(got, "\n"), "words of %q", text)
	}
}

// TestDFAAgreesWithRegexp on random texts.
func TestDFAAgreesWithRegexp(t *testing.T) {
	g := newGen(seed(t))
	for _, pattern := range []string{"a+b", `\bfoo\b`, "^x", "y$", "(?i)kEy", `\d{3}\.\d`, "(a|b)*c", "", "[^a-z ]x", "(?m)^b", "(?s)a.b", "a.b", `\Bo`, "x*", "(?:foo|fob|fa)r"} {
		e := mustText(pattern)
		m := newMatcher(pattern, e.Holds)
		require.True(t, m.simple, pattern)
		var texts []string
		for range 300 {
			b := make([]byte, g.IntN(12))
			for i := range b {
				b[i] = pick(g, []byte("abcfoorxyKkey 12.3\n_é"))
			}
			texts = append(texts, string(b))
		}
		v := textVector(nil, texts...)
		out := newBitset(len(texts))
		m.scan(v, fullBitset(len(texts)), out)
		for i, s := range texts {
			require.Equal(t, e.Holds(s), out.has(i), "%q in %q", pattern, s)
		}
	}
}

func mustText(pattern string) predicate.Text {
	e, err := predicate.NewText(predicate.Intrinsic(predicate.Body), predicate.Regexp, pattern, false)
	if err != nil {
		panic(err)
	}
	return e
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"abc", " x ", "{0AF3C2D1-0000-4abc-8def-0123456789AB}", "0AF3C2D1-0000-4abc-8def-0123456789ab", "é", "\u00a0x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, kind := range []string{model.KeyTrace, model.KeyRequest} {
			require.Equal(t, model.Canonical(kind, s), canonical(kind, s))
		}
	})
}

func FuzzInts(f *testing.F) {
	f.Add(appendInts(nil, []int64{1, 2, 3, 1 << 40}), 4)
	f.Add([]byte{6, 0, 0, 9}, 200)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 0 || n > 4096 {
			return
		}
		vals, _, err := readInts(nil, data, n)
		if err != nil || n == 0 {
			return
		}
		again, _, err := readInts(nil, appendInts(nil, vals), n)
		require.NoError(t, err)
		require.Equal(t, vals, again)
	})
}

// FuzzChunk: no bytes make a decoder panic or a vector that says more than it
// has.
func FuzzChunk(f *testing.F) {
	enc, err := newEncoder()
	require.NoError(f, err)
	for _, texts := range [][]string{{"0af3c2d1-0000-4abc-8def-0123456789ab"}, {"00ff12ab"}, {"user-1", "user-2"}, {strings.Repeat("abc ", 100), "x"}} {
		chunk := enc.appendChunk(nil, textVector(nil, texts...), len(texts), nil)
		f.Add(chunk[:len(chunk)-crcSize], uint8(model.KindString), len(texts))
	}
	f.Add([]byte{encDict, 2, 0, 1, 2}, uint8(model.KindString), 2)
	f.Add([]byte{encSparse | encInts, 1, 1, 0, 2, 0, 8}, uint8(model.KindInt), 9)
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, rows int) {
		if rows < 0 || rows > 2048 || kind > uint8(model.KindMap) {
			return
		}
		v, err := chunkReader{}.read(data, columnKey{false, "x", model.ValueKind(kind)}, rows, []string{"a", "b", "c"}, newTemplates([]string{"no variable", "x \x01 y", "\x01\x01"}))
		if err != nil {
			return
		}
		if v.expand() != nil {
			return
		}
		full := fullBitset(max(rows, 1))
		v.present(full)
		for i := range v.n {
			require.Less(t, v.row(i), max(rows, 1))
			_ = v.value(i).Text()
		}
	})
}

func FuzzDirectory(f *testing.F) {
	d := directorySeed(f)
	f.Add(d)
	f.Fuzz(func(_ *testing.T, data []byte) {
		d, err := readDirectory(data, directoryFormat)
		if err != nil {
			return
		}
		for i := range d.pages {
			_ = d.pages[i].has(0)
		}
	})
}

func directorySeed(f *testing.F) []byte {
	s, err := Open(testOptions(f.TempDir()))
	require.NoError(f, err)
	_, err = s.AppendLogs(bg, "t", 1, newGen(1).logs(testNow))
	require.NoError(f, err)
	require.NoError(f, s.Flush(bg))
	r := s.lookup("t").blocks[0]
	data, err := r.block.ReadFile(r.fs, directoryFile)
	require.NoError(f, err)
	z, err := decoder()
	require.NoError(f, err)
	_, src, err := readUvarint(data[len(directoryMagic)+1:len(data)-crcSize], maxDirectory)
	require.NoError(f, err)
	raw, err := z.DecodeAll(src, nil)
	require.NoError(f, err)
	require.NoError(f, s.Close())
	return raw
}
