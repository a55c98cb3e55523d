package tsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Import brings history into a tenant: whole Prometheus blocks, or OpenMetrics
// text with timestamps. It becomes visible within a minute, when the database
// next looks at its folder.
func (s *Store) Import(id tenant.ID) *Importer { return &Importer{s, id} }

// Importer imports into one tenant.
type Importer struct {
	s  *Store
	id tenant.ID
}

// maxImportSamples bounds the samples of one OpenMetrics file in memory: about
// 1 GiB.
const maxImportSamples = 50_000_000

// Block copies a Prometheus block (a folder with meta.json, index and chunks)
// after checking it. A block that is there already is left alone.
func (im *Importer) Block(dir string) error {
	t, err := im.s.tenant(im.id)
	if err != nil {
		return err
	}
	b, err := promtsdb.OpenBlock(im.s.opts.Logger, dir, nil, nil)
	if err != nil {
		return fmt.Errorf("%w: cannot import block %q: %w", model.ErrInvalid, dir, err)
	}
	name := b.Meta().ULID.String()
	if err := b.Close(); err != nil {
		return fmt.Errorf("cannot import block %q: %w", dir, err)
	}
	return t.adopt(dir, name)
}

// adopt makes a block folder part of the database.
func (t *tenantDB) adopt(dir, name string) error {
	final := filepath.Join(t.dbDir(), name)
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	// Leftovers with this suffix are removed when the database is opened.
	tmp := final + ".tmp-for-creation"
	if err := errors.Join(os.RemoveAll(tmp), os.CopyFS(tmp, os.DirFS(dir))); err != nil {
		return fmt.Errorf("cannot copy block %s: %w", name, err)
	}
	if err := markImported(tmp); err != nil {
		return fmt.Errorf("cannot mark block %s: %w", name, err)
	}
	err := filepath.WalkDir(tmp, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path) // files and folders alike
	})
	if err == nil {
		err = os.Rename(tmp, final)
	}
	if err != nil {
		return fmt.Errorf("cannot place block %s: %w", name, err)
	}
	return syncDir(t.dbDir())
}

// markImported writes into a block's meta that it came out of order. Without
// the mark the database would take the block's end for the point up to which
// the write-ahead log is in blocks, and forget what the log holds of before.
func markImported(dir string) error {
	path := filepath.Join(dir, "meta.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var meta promtsdb.BlockMeta
	if err := json.Unmarshal(b, &meta); err != nil {
		return err
	}
	if !meta.Compaction.FromOutOfOrder() {
		meta.Compaction.SetOutOfOrder()
	}
	if b, err = json.MarshalIndent(&meta, "", "\t"); err != nil {
		return err
	}
	return writeFileAtomic(path, b)
}

// OpenMetrics reads OpenMetrics text whose samples all have timestamps, writes
// blocks of two hours, and returns how many samples they hold.
func (im *Importer) OpenMetrics(ctx context.Context, r io.Reader) (samples int, err error) {
	t, err := im.s.tenant(im.id)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return 0, fmt.Errorf("cannot read OpenMetrics text: %w", err)
	}
	windows, samples, err := t.parseHistory(text)
	if err != nil {
		return 0, fmt.Errorf("%w: OpenMetrics text: %w", model.ErrInvalid, err)
	}
	starts := make([]int64, 0, len(windows))
	for w := range windows {
		starts = append(starts, w)
	}
	sort.Slice(starts, func(i, j int) bool { return starts[i] < starts[j] })
	for _, w := range starts {
		if err := t.writeWindow(ctx, windows[w]); err != nil {
			return 0, fmt.Errorf("cannot write the block of %s: %w", time.UnixMilli(w*promtsdb.DefaultBlockDuration).UTC().Format(time.RFC3339), err)
		}
	}
	return samples, t.meta.sync()
}

// history is the samples of one block, by series.
type history map[string]*pastSeries

type pastSeries struct {
	labels  labels.Labels
	samples []writeSample
}

// parseHistory sorts the samples into windows of a block each and notes the
// metadata.
func (t *tenantDB) parseHistory(text []byte) (map[int64]history, int, error) {
	p := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	windows := map[int64]history{}
	meta := map[string]model.MetricMeta{}
	n := 0
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			m := meta[string(name)]
			m.Type = string(kind)
			meta[string(name)] = m
		case textparse.EntryHelp:
			name, help := p.Help()
			m := meta[string(name)]
			m.Help = string(help)
			meta[string(name)] = m
		case textparse.EntryUnit:
			name, unit := p.Unit()
			m := meta[string(name)]
			m.Unit = string(unit)
			meta[string(name)] = m
		case textparse.EntrySeries:
			series, ts, v := p.Series()
			if ts == nil {
				return nil, 0, fmt.Errorf("sample of %s has no timestamp", clip(string(series)))
			}
			if n++; n > maxImportSamples {
				return nil, 0, fmt.Errorf("more than %d samples: split the file", maxImportSamples)
			}
			var ls labels.Labels
			p.Labels(&ls)
			put(windows, string(series), ls, writeSample{t: *ts, v: v})
		}
	}
	for name, m := range meta {
		if err := t.meta.note(name, m); err != nil {
			return nil, 0, err
		}
	}
	return windows, n, nil
}

func put(windows map[int64]history, key string, ls labels.Labels, s writeSample) {
	w := int64(math.Floor(float64(s.t) / float64(promtsdb.DefaultBlockDuration)))
	if windows[w] == nil {
		windows[w] = history{}
	}
	ps := windows[w][key]
	if ps == nil {
		ps = &pastSeries{labels: ls}
		windows[w][key] = ps
	}
	ps.samples = append(ps.samples, s)
}

// writeWindow makes a block of one window and adopts it.
func (t *tenantDB) writeWindow(ctx context.Context, h history) (err error) {
	dir, err := os.MkdirTemp(t.dir, "import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := promtsdb.NewBlockWriter(t.opts.Logger, dir, promtsdb.DefaultBlockDuration)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	app := w.AppenderV2(ctx)
	for _, ps := range h {
		sort.SliceStable(ps.samples, func(i, j int) bool { return ps.samples[i].t < ps.samples[j].t })
		var ref storage.SeriesRef
		for i, s := range ps.samples {
			if i > 0 && s.t == ps.samples[i-1].t {
				continue // the first of equal times counts
			}
			if ref, err = app.Append(ref, ps.labels, 0, s.t, s.v, nil, nil, storage.AOptions{}); err != nil {
				return errors.Join(err, app.Rollback())
			}
		}
	}
	if err := app.Commit(); err != nil {
		return err
	}
	id, err := w.Flush(ctx)
	if err != nil || id == (ulid.ULID{}) {
		return err
	}
	return t.adopt(filepath.Join(dir, id.String()), id.String())
}
