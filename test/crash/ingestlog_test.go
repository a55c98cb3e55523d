package crash

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/ingestlog"
	"braid/pkg/model"
)

// childDir tells the test binary that it is the child, and where its log is.
const childDir = "BRAID_CRASH_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// payload is what the child sends for a number: anyone can check it.
func payload(n int64) string { return fmt.Sprint(n, strings.Repeat("p", int(n%5000))) }

// child appends from several goroutines until it is killed and prints the
// positions that were acknowledged.
func child(dir string) error {
	l, err := ingestlog.Open(ingestlog.Options{Dir: dir, SegmentBytes: 1 << 20, ReserveBytes: -1})
	if err != nil {
		return err
	}
	if _, err := l.Replay(context.Background(), 0, func(model.Position, *ingestlog.Record) error { return nil }); err != nil {
		return err
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				// The record's time carries the number that decides its payload.
				n := int64(rand.Uint32())
				t, err := l.Append(context.Background(), &ingestlog.Record{
					Tenant: "acme", Signal: ingestlog.SignalLogs, Received: time.Unix(0, n), Payload: []byte(payload(n)),
				})
				if err == nil {
					err = t.Wait(context.Background())
				}
				if err != nil {
					failed <- err
					return
				}
				fmt.Fprintf(os.Stdout, "%d %d\n", t.Position(), n)
			}
		}()
	}
	return <-failed
}

// TestKilledLogKeepsEveryAcknowledgedRequest kills the child again and again on
// one folder; the last kills come during the start and the replay.
func TestKilledLogKeepsEveryAcknowledgedRequest(t *testing.T) {
	dir := t.TempDir()
	acked := map[model.Position]int64{}
	var last model.Position
	for round := range 12 {
		lines := 1 + rand.IntN(400)
		if round >= 8 {
			lines = rand.IntN(2) // at once
		}
		for pos, n := range run(t, dir, lines) {
			require.NotContains(t, acked, pos, "a position came twice")
			require.Greater(t, pos, last)
			acked[pos] = n
		}
		for pos := range acked {
			last = max(last, pos)
		}
	}
	require.NotEmpty(t, acked)
	l, err := ingestlog.Open(ingestlog.Options{Dir: dir, ReserveBytes: -1})
	require.NoError(t, err)
	defer l.Close()
	found, before := 0, model.Position(0)
	stats, err := l.Replay(context.Background(), 0, func(pos model.Position, r *ingestlog.Record) error {
		require.Greater(t, pos, before)
		before = pos
		n := r.Received.UnixNano()
		require.Equal(t, payload(n), string(r.Payload))
		if want, ok := acked[pos]; ok {
			require.Equal(t, want, n)
			found++
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, len(acked), found, "acknowledged requests are lost")
	t.Logf("%d acknowledged, %d replayed, damage: %v", len(acked), stats.Records, stats.Damage)
}

// run starts a child, kills it after some acknowledgements and returns them.
func run(t *testing.T, dir string, lines int) map[model.Position]int64 {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	acked := map[model.Position]int64{}
	in := bufio.NewScanner(out)
	if lines == 0 {
		require.NoError(t, cmd.Process.Kill())
	}
	for in.Scan() { // to the end: what was printed was acknowledged
		var pos model.Position
		var n int64
		if k, _ := fmt.Sscanf(in.Text(), "%d %d", &pos, &n); k == 2 {
			acked[pos] = n
		}
		if lines--; lines == 0 {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.Error(t, cmd.Wait())
	return acked
}
