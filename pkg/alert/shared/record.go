package shared

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"time"
)

// Keep is how long a deletion is remembered. Who was away for longer brings
// back what was deleted meanwhile.
const Keep = 30 * 24 * time.Hour

// Stamp says when a thing was changed, and by whom: that orders two changes of
// the same millisecond alike everywhere.
type Stamp struct {
	At int64  `json:"at"` // Unix ms
	By string `json:"by,omitempty"`
}

// After reports whether a change is newer than another.
func (s Stamp) After(o Stamp) bool { return s.At > o.At || s.At == o.At && s.By > o.By }

// Next returns the stamp of a change of what has one already: a clock that was
// set back must not make the change older than what it changes.
func Next(now time.Time, by string, before Stamp) Stamp {
	return Stamp{At: max(now.UnixMilli(), before.At+1), By: by}
}

// Record is the newest change of one thing: its text, or that it is gone.
type Record struct {
	Key string `json:"key"`
	Stamp
	Gone bool   `json:"gone,omitempty"`
	Text string `json:"text,omitempty"`
}

// Forgotten reports whether a deletion need not be remembered any more.
func (r *Record) Forgotten(now time.Time) bool {
	return r.Gone && r.At < now.Add(-Keep).UnixMilli()
}

// Bounds of one message, before compression. The gossip takes 20 MiB of state
// of all kinds together.
const (
	maxSent  = 8 << 20
	maxTaken = 4 * maxSent
)

// encode writes records, the newest first, as many as may be sent at once; left
// is how many were not.
func encode(records []Record) (out []byte, left int, err error) {
	sort.SliceStable(records, func(i, j int) bool { return records[i].After(records[j].Stamp) })
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	sent := 0
	for i := range records {
		line, err := json.Marshal(&records[i])
		if err != nil {
			return nil, 0, fmt.Errorf("cannot encode %s: %w", records[i].Key, err)
		}
		if sent += len(line) + 1; sent > maxSent {
			left = len(records) - i
			break
		}
		if _, err := z.Write(append(line, '\n')); err != nil {
			return nil, 0, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, 0, err
	}
	return b.Bytes(), left, nil
}

// decode reads what encode wrote; whoever reaches the gossip may have sent it.
func decode(b []byte) ([]Record, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("cannot read shared changes: %w", err)
	}
	in := &io.LimitedReader{R: z, N: maxTaken}
	dec := json.NewDecoder(in)
	var out []Record
	for {
		var r Record
		switch err := dec.Decode(&r); {
		case errors.Is(err, io.EOF) && in.N > 0:
			return out, nil
		case in.N <= 0:
			return nil, fmt.Errorf("shared changes are larger than %d bytes", maxTaken)
		case err != nil:
			return nil, fmt.Errorf("cannot read shared changes: %w", err)
		}
		out = append(out, r)
	}
}
