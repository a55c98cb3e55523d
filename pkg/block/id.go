package block

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
)

// ID names a block: 26 characters of Crockford's base 32, upper case, the first
// 10 of them the time of creation in milliseconds. Ids sort by creation, and no
// id looks like a folder name with a dash, as "tmp-" and "bad-" have.
type ID string

const (
	idLength   = 26
	idAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// NewID makes an id out of the time and 10 random bytes (crypto/rand.Reader).
func NewID(now time.Time, random io.Reader) (ID, error) {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(max(0, now.UnixMilli()))<<16)
	if _, err := io.ReadFull(random, raw[6:]); err != nil {
		return "", fmt.Errorf("cannot make a block id: %w", err)
	}
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	var out [idLength]byte
	for i := idLength - 1; i >= 0; i-- {
		out[i] = idAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return ID(out[:]), nil
}

// ParseID checks the text of an id.
func ParseID(s string) (ID, error) {
	if len(s) != idLength {
		return "", fmt.Errorf("block id %q has %d characters, %d are expected", s, len(s), idLength)
	}
	for i := range len(s) {
		if strings.IndexByte(idAlphabet, s[i]) < 0 {
			return "", fmt.Errorf("block id %q has the character %q, which is not of base 32", s, s[i])
		}
	}
	return ID(s), nil
}

// Time returns the time of creation that the id carries.
func (id ID) Time() time.Time {
	var ms int64
	for i := 0; i < 10 && i < len(id); i++ {
		ms = ms<<5 | int64(max(0, strings.IndexByte(idAlphabet, id[i])))
	}
	return time.UnixMilli(ms)
}
