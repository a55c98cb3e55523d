package idindex

import (
	"encoding/binary"
	"hash/crc32"
)

// repair makes the checksums of damaged bytes true, so that the fuzzer gets
// past them to the code behind.
func repair(data []byte) {
	if len(data) < headerSize {
		return
	}
	binary.LittleEndian.PutUint64(data[12:], uint64(len(data)))
	binary.LittleEndian.PutUint32(data[20:], crc32.Checksum(data[:20], castagnoli))
	if data[5] < superBits || data[5] > 20 {
		return
	}
	supers := 1 << (data[5] - superBits)
	end := headerSize + 4*(supers+1)
	if end+4 > len(data) {
		return
	}
	binary.LittleEndian.PutUint32(data[end:], crc32.Checksum(data[headerSize:end], castagnoli))
	for s := range supers {
		lo := int(binary.LittleEndian.Uint32(data[headerSize+4*s:]))
		hi := int(binary.LittleEndian.Uint32(data[headerSize+4*s+4:]))
		if lo >= 0 && lo+4 <= hi && hi <= len(data) && lo > end {
			binary.LittleEndian.PutUint32(data[lo:], crc32.Checksum(data[lo+4:hi], castagnoli))
		}
	}
}
