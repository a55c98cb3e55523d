package rule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/alert/shared"
	"braid/pkg/model"
)

func openShared(t *testing.T, fs vfs.FS, by string) *Store {
	t.Helper()
	s, err := OpenStore(StoreOptions{FS: fs, Dir: "/rules", By: by, Parser: parser.NewParser(parser.Options{})})
	require.NoError(t, err)
	return s
}

// state is what a store holds, by key.
func state(t *testing.T, s *Store) map[string]string {
	t.Helper()
	records, err := s.Records()
	require.NoError(t, err)
	out := map[string]string{}
	for _, r := range records {
		if !r.Gone {
			out[r.Key] = r.Text
		}
	}
	return out
}

// Whatever is set and deleted where, and in whatever order and how often the
// others are told of it, in the end all hold the same; over crashes too.
func TestStoresAgree(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		disks := []*vfs.Crashable{vfs.NewCrashable(), vfs.NewCrashable(), vfs.NewCrashable()}
		var stores []*Store
		for i, d := range disks {
			stores = append(stores, openShared(t, d, fmt.Sprint(i)))
		}
		var mail []shared.Record
		for range 40 {
			i := rng.IntN(len(stores))
			s, ns, name := stores[i], fmt.Sprint("n/", rng.IntN(2)), fmt.Sprint("g", rng.IntN(3))
			switch rng.IntN(5) {
			case 0:
				_, err := s.DeleteGroup("t", Logs, ns, name)
				require.True(t, err == nil || isNotFound(err), err)
			case 1:
				disks[i] = disks[i].CrashClone(nil)
				stores[i] = openShared(t, disks[i], fmt.Sprint(i))
				continue
			default:
				_, err := s.SetGroup("t", Logs, ns, group(name, fmt.Sprint("x > ", rng.IntN(1000))))
				require.NoError(t, err)
			}
			changes, err := s.Touched("t")
			require.NoError(t, err)
			mail = append(mail, changes...)
			if len(mail) > 0 { // some arrive late, twice, in another order, or never
				_, err := stores[rng.IntN(len(stores))].Take(mail[rng.IntN(len(mail)):])
				require.NoError(t, err)
			}
		}
		for range 2 { // everybody tells everybody all
			for _, from := range stores {
				records, err := from.Records()
				require.NoError(t, err)
				for _, to := range stores {
					_, err := to.Take(records)
					require.NoError(t, err)
				}
			}
		}
		require.Equal(t, state(t, stores[0]), state(t, stores[1]), "seed %d", seed)
		require.Equal(t, state(t, stores[0]), state(t, stores[2]), "seed %d", seed)
		for _, s := range stores { // and again nothing is news
			records, err := s.Records()
			require.NoError(t, err)
			taken, err := stores[0].Take(records)
			require.NoError(t, err)
			require.Empty(t, taken)
		}
	}
}

func isNotFound(err error) bool { return errors.Is(err, model.ErrNotFound) }

func TestTakeRefusesAndUndoes(t *testing.T) {
	a, b := openShared(t, vfs.NewCrashable(), "a"), openShared(t, vfs.NewCrashable(), "b")
	_, err := a.SetGroup("t", Metrics, "ns", group("g", "up == 0"))
	require.NoError(t, err)
	good, err := a.Records()
	require.NoError(t, err)
	require.Len(t, good, 1)
	bad := []shared.Record{}
	for _, r := range []shared.Record{
		{Key: "t/prometheus/ns", Text: good[0].Text},
		{Key: "../prometheus/ns/g", Text: good[0].Text},
		{Key: "t/elsewhere/ns/g", Text: good[0].Text},
		{Key: "t/prometheus/ns/other", Text: good[0].Text},
		{Key: "t/prometheus/ns/g", Text: "name: g\nrules: [{alert: A, expr: 'sum('}]\n"},
		{Key: "t/prometheus/ns/g", Text: "name: g\nsurprise: 1\n"},
		{Key: "t/prometheus/ns/g", Text: "name: g\n"},
	} {
		r.Stamp = shared.Stamp{At: time.Now().UnixMilli()}
		taken, err := b.Take([]shared.Record{r})
		require.Error(t, err, r.Key+" "+r.Text)
		require.Empty(t, taken)
		bad = append(bad, r)
	}
	taken, err := b.Take(append(bad, good...))
	require.Error(t, err)
	require.Len(t, taken, 1, "what is good is taken all the same")
	require.Equal(t, state(t, a), state(t, b))
	require.NoError(t, taken[0].Undo())
	require.Empty(t, state(t, b))
	changes, err := b.Touched("t")
	require.NoError(t, err)
	require.Empty(t, changes, "what came from others is not news for them")
}

// A deletion is remembered for a while, over restarts, and a namespace without
// groups is none.
func TestDeletionsAreRemembered(t *testing.T) {
	disk := vfs.NewCrashable()
	s := openShared(t, disk, "a")
	_, err := s.SetGroup("t", Metrics, "ns", group("g", "up == 0"))
	require.NoError(t, err)
	before, err := s.Records()
	require.NoError(t, err)
	_, err = s.DeleteNamespace("t", Metrics, "ns")
	require.NoError(t, err)
	s = openShared(t, disk.CrashClone(nil), "a")
	files, err := s.Files("t")
	require.NoError(t, err)
	require.Empty(t, files)
	_, err = s.Groups("t", Metrics, "ns")
	require.ErrorIs(t, err, model.ErrNotFound)
	taken, err := s.Take(before)
	require.NoError(t, err)
	require.Empty(t, taken, "who was away does not bring it back")

	n := &content{changed: map[string]change{"g": {Group: "g", Gone: true, Stamp: shared.Stamp{At: time.Now().UnixMilli()}}}}
	text, err := n.text(time.Now())
	require.NoError(t, err)
	require.NotEmpty(t, text)
	text, err = n.text(time.Now().Add(shared.Keep + time.Hour))
	require.NoError(t, err)
	require.Empty(t, text)
}

// Files of before groups were shared: both alerters keep the same one.
func TestFilesWithoutStamps(t *testing.T) {
	var stores []*Store
	for _, expr := range []string{"up == 0", "up == 1"} {
		disk := vfs.NewCrashable()
		s := openShared(t, disk, "x")
		n := &content{changed: map[string]change{}}
		n.groups = append(n.groups, group("g", expr))
		text, err := n.text(time.Now())
		require.NoError(t, err)
		require.NotContains(t, string(text), changeMark)
		require.NoError(t, s.write(s.file("t", Metrics, "ns"), text))
		stores = append(stores, s)
	}
	for i := range stores {
		records, err := stores[i].Records()
		require.NoError(t, err)
		_, err = stores[1-i].Take(records)
		require.NoError(t, err)
	}
	require.Equal(t, state(t, stores[0]), state(t, stores[1]))
	require.Len(t, state(t, stores[0]), 1)
}
