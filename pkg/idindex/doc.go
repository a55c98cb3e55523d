// Package idindex finds the places of high-cardinality ids: which pages of a
// block, and which blocks of many, may hold a correlation id. It knows neither
// what an id means nor what a page is; it keeps hashes and small numbers.
//
// A batch's life: while a block is built, Builder.Add takes the hash (Hash) and
// the page of every id; Builder.Build sorts them by radix and packs them into a
// few bits each; the bytes are stored with the block. Open (or OpenReaderAt,
// which keeps only a small directory in memory) reads them back, and Pages
// answers out of one superbucket of some 700 bytes. Merge joins the indexes of
// blocks whose pages are put one behind the other. Above the blocks, a
// Directory joins the indexes of all of them into few, from ids to blocks.
//
// An answer may name a page or a block too many, at a rate that is documented
// and measured; it never leaves one out. Damage is found by checksum and is an
// error (ErrCorrupt): whoever gets one looks at every page.
//
// See FORMAT.md for the bytes.
package idindex
