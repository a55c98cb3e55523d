package shared

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStamps(t *testing.T) {
	now := time.UnixMilli(1000)
	first := Next(now, "a", Stamp{})
	require.Equal(t, Stamp{1000, "a"}, first)
	back := Next(now.Add(-time.Hour), "b", first)
	require.True(t, back.After(first), "a clock that was set back")
	require.True(t, Stamp{1000, "b"}.After(first))
	require.False(t, first.After(first))
	gone := Record{Stamp: first, Gone: true}
	require.False(t, gone.Forgotten(now.Add(Keep)))
	require.True(t, gone.Forgotten(now.Add(Keep+time.Second)))
	require.False(t, (&Record{Stamp: first}).Forgotten(now.Add(2*Keep)), "what is there is not forgotten")
}

// Two sets that are joined by hand: what one has, the other is told.
func TestSetsTellEachOther(t *testing.T) {
	got := make(chan []Record, 10)
	all := []Record{{Key: "old", Stamp: Stamp{1, "a"}, Text: "x"}, {Key: "new", Stamp: Stamp{2, "a"}, Gone: true}}
	a := New(Options{Name: "a", Records: func() ([]Record, error) { return all, nil }})
	b := New(Options{Name: "b", Take: func(r []Record) { got <- r }})
	a.Sends(func(m []byte) { require.NoError(t, b.Merge(m)) })
	a.Tell(all[:1])
	b.Start() // what came before waited
	require.Equal(t, all[:1], <-got)
	m, err := a.MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, b.Merge(m))
	require.Equal(t, []string{"new", "old"}, keys(<-got), "the newest first")
	b.Close()
	b.Close()
	for range waiting {
		require.NoError(t, b.Merge(m))
	}
	require.NoError(t, b.Merge(m), "nobody waits for a set that does not take")
}

func keys(list []Record) (out []string) {
	for _, r := range list {
		out = append(out, r.Key)
	}
	return out
}

func TestMessagesAreBounded(t *testing.T) {
	var list []Record
	for i := range 20 {
		list = append(list, Record{Key: fmt.Sprint(i), Stamp: Stamp{At: int64(i)}, Text: strings.Repeat("x", maxSent/10)})
	}
	b, left, err := encode(list)
	require.NoError(t, err)
	require.Equal(t, 11, left, "the oldest are left out")
	got, err := decode(b)
	require.NoError(t, err)
	require.Len(t, got, 9)
	require.Equal(t, "19", got[0].Key)

	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 2 * maxTaken / (1 << 20) {
		_, err := z.Write([]byte(`{"key":"` + strings.Repeat("x", 1<<20) + `"}`))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	_, err = decode(bomb.Bytes())
	require.ErrorContains(t, err, "larger than")
	for _, bad := range [][]byte{nil, []byte("nonsense"), b[:len(b)/2]} {
		_, err = decode(bad)
		require.Error(t, err)
	}
}

func FuzzDecode(f *testing.F) {
	b, _, err := encode([]Record{{Key: "k", Stamp: Stamp{1, "a"}, Text: "x"}})
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = decode(b) })
}
