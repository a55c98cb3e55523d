// Package block holds what the immutable blocks of the stores share: their
// folder, meta, checksums, publication, removal, retention and compaction
// plans. What the files of a block mean is the store's business.
//
// The life of a block: NewWriter makes "tmp-<id>" in the tenant's folder; the
// store writes its files through Writer.Create, which counts and checksums
// what passes; Commit writes meta.json, syncs every file and the folder,
// renames the folder to its id and syncs the parent. From then on nothing in
// it changes. A merge writes one new block whose meta names the blocks that it
// replaces, and removes these afterwards; a crash in between leaves both, and
// List, which a store calls once when it opens, removes the replaced ones, so
// that no row counts twice. List also removes half-written blocks and sets
// damaged ones aside as "bad-<id>", saying why.
//
// See FORMAT.md for the bytes.
package block
