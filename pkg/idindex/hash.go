package idindex

import (
	"encoding/hex"

	"github.com/zeebo/xxh3"
)

// Kind hashes ids of one kind. Equal ids of different kinds have unrelated
// hashes. The hashes are stored in blocks: they never change.
type Kind uint64

// NewKind returns the hasher of a kind, such as "trace" or "request".
func NewKind(name string) Kind { return Kind(xxh3.HashString(name)) }

// Hash returns the hash of a canonical id.
func (k Kind) Hash(id string) uint64 { return xxh3.HashStringSeed(id, uint64(k)) }

// HashBytes is Hash of the text in b.
func (k Kind) HashBytes(b []byte) uint64 { return xxh3.HashSeed(b, uint64(k)) }

// HashHex is Hash of the lower-case hex text of 16 bytes: a trace id, without
// making its text first.
func (k Kind) HashHex(id [16]byte) uint64 {
	var text [32]byte
	hex.Encode(text[:], id[:])
	return xxh3.HashSeed(text[:], uint64(k))
}

// Hash returns NewKind(kind).Hash(canonicalID).
func Hash(kind, canonicalID string) uint64 { return NewKind(kind).Hash(canonicalID) }
