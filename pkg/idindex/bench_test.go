package idindex

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchEntries is what a block of 262,144 records has with six ids a record,
// most of them shared within a page.
const benchEntries, benchPages = 1_400_000, 256

func fill(b *Builder, entries int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := range entries {
		b.Add(rng.Uint64(), uint32(i*benchPages/entries))
	}
}

func BenchmarkAddAndBuild(b *testing.B) {
	var bl Builder
	size := 0
	for b.Loop() {
		bl.Reset()
		fill(&bl, benchEntries, 1)
		data, err := bl.Build()
		if err != nil {
			b.Fatal(err)
		}
		size = len(data)
	}
	b.ReportMetric(float64(size)/benchEntries, "B/entry")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
}

func BenchmarkPages(b *testing.B) {
	var bl Builder
	fill(&bl, benchEntries, 1)
	data, _ := bl.Build()
	ix, err := Open(data)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(9, 9))
	var dst []uint32
	found := 0
	for b.Loop() {
		dst, _ = ix.Pages(rng.Uint64(), dst[:0])
		found += len(dst)
	}
	b.ReportMetric(float64(found)/float64(b.N), "false/op")
}

// BenchmarkPagesReaderAt reads superbuckets one by one, as from a file.
func BenchmarkPagesReaderAt(b *testing.B) {
	var bl Builder
	fill(&bl, benchEntries, 1)
	data, _ := bl.Build()
	ix, err := OpenReaderAt(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(9, 9))
	var dst []uint32
	for b.Loop() {
		dst, _ = ix.Pages(rng.Uint64(), dst[:0])
	}
	b.ReportMetric(float64(len(ix.dir)), "B-held")
}

func BenchmarkMerge4(b *testing.B) {
	var parts []Part
	for i := range 4 {
		var bl Builder
		fill(&bl, benchEntries/4, uint64(i))
		data, _ := bl.Build()
		ix, _ := Open(data)
		parts = append(parts, Part{ix, uint32(i * benchPages)})
	}
	for b.Loop() {
		if _, err := Merge(parts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
}

// BenchmarkDirectory is the curve over the number of blocks, for an id that
// none of them holds. Blocks came one by one, as flushes bring them.
func BenchmarkDirectory(b *testing.B) {
	for _, blocks := range []int{20, 50, 100, 200} {
		var d Directory[int]
		const entries = 50_000
		for i := range blocks {
			bl := Builder{FingerprintBits: BlockFingerprintBits}
			fill(&bl, entries+i*97, uint64(i))
			data, _ := bl.Build()
			ix, _ := Open(data)
			if err := d.Add(i, ix); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("blocks=%d", blocks), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(9, 9))
			var dst []int
			found := 0
			for b.Loop() {
				dst = d.Candidates(rng.Uint64(), dst[:0])
				found += len(dst)
			}
			b.ReportMetric(float64(found)/float64(b.N)/float64(blocks), "false/block")
			b.ReportMetric(float64(d.Bytes())/float64(blocks*entries), "B/id")
			b.ReportMetric(float64(d.Runs()), "runs")
		})
	}
}

// BenchmarkDirectoryAddAll is what opening a store costs: an id and block.
func BenchmarkDirectoryAddAll(b *testing.B) {
	const blocks, entries = 100, 50_000
	var list []Entry[int]
	for i := range blocks {
		bl := Builder{FingerprintBits: BlockFingerprintBits}
		fill(&bl, entries, uint64(i))
		data, _ := bl.Build()
		ix, _ := Open(data)
		list = append(list, Entry[int]{i, ix})
	}
	for b.Loop() {
		var d Directory[int]
		if err := d.AddAll(list); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blocks/entries, "ns/entry")
}
