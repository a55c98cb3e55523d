package tsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	if end := time.UnixMilli(b.Meta().MaxTime); end.Before(im.s.opts.Now().Add(-t.retention())) {
		return errors.Join(fmt.Errorf("%w: block %s ends at %s, which is older than the retention of %s: raise metrics.retention first",
			model.ErrInvalid, name, end.UTC().Format(time.RFC3339), t.retention()), b.Close())
	}
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
// blocks of two hours, and returns how many samples they hold. The text is read
// as a stream and may be of any length; a line may not. What is imported stays
// imported when a later line is wrong, and importing a text again changes
// nothing.
func (im *Importer) OpenMetrics(ctx context.Context, r io.Reader) (samples int, err error) {
	t, err := im.s.tenant(im.id)
	if err != nil {
		return 0, err
	}
	now := im.s.opts.Now()
	p := &pastReader{t: t, windows: map[int64]history{}, meta: map[string]model.MetricMeta{},
		oldest: now.Add(-t.retention()).UnixMilli(), newest: now.Add(im.s.opts.FutureWindow).UnixMilli()}
	if err := p.readAll(ctx, r); err != nil {
		return p.written, err
	}
	for name, m := range p.meta {
		if err := t.meta.note(name, m); err != nil {
			return p.written, err
		}
	}
	return p.written, t.meta.sync()
}

// history is the samples of one block, by series.
type history map[string]*pastSeries

type pastSeries struct {
	labels  labels.Labels
	samples []writeSample
}

const (
	// importPiece is how much text is parsed at once, and the longest line.
	importPiece = 1 << 20
	// maxImportSamples bounds the samples that are held until their blocks are
	// written: about 100 MiB.
	maxImportSamples = 5_000_000
)

// pastReader takes history in piece by piece.
type pastReader struct {
	t              *tenantDB
	windows        map[int64]history
	meta           map[string]model.MetricMeta
	oldest, newest int64 // what is kept, Unix ms
	held, written  int   // samples
	line           int   // lines of the pieces before
}

var openMetricsEnd = []byte("# EOF\n")

// readAll cuts the text at line ends: each piece is a text of its own.
func (p *pastReader) readAll(ctx context.Context, r io.Reader) error {
	buf := make([]byte, 0, 2*importPiece)
	for {
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+importPiece])
		buf = buf[:len(buf)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return fmt.Errorf("cannot read OpenMetrics text: %w", err)
		}
		if last {
			return p.end(ctx, buf)
		}
		cut := bytes.LastIndexByte(buf, '\n') + 1
		if cut == 0 {
			return fmt.Errorf("%w: OpenMetrics text: line %d is longer than %d bytes", model.ErrInvalid, p.line+1, importPiece)
		}
		if err := p.piece(ctx, buf[:cut]); err != nil {
			return err
		}
		rest := copy(buf[:cap(buf)], buf[cut:])
		if buf = buf[:rest]; rest > importPiece {
			return fmt.Errorf("%w: OpenMetrics text: line %d is longer than %d bytes", model.ErrInvalid, p.line+1, importPiece)
		}
	}
}

// end takes the last piece, which has the mark of the end.
func (p *pastReader) end(ctx context.Context, text []byte) error {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	rest, marked := bytes.CutSuffix(text, openMetricsEnd)
	if err := p.piece(ctx, rest); err != nil {
		return err
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	if !marked {
		return fmt.Errorf("%w: OpenMetrics text does not end in \"# EOF\": it may have been cut off", model.ErrInvalid)
	}
	return nil
}

// piece parses whole lines.
func (p *pastReader) piece(ctx context.Context, text []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(text) == 0 {
		return nil
	}
	lines := bytes.Count(text, []byte{'\n'})
	if err := p.parse(append(text[:len(text):len(text)], openMetricsEnd...)); err != nil {
		return fmt.Errorf("%w: OpenMetrics text, in lines %d to %d: %w", model.ErrInvalid, p.line+1, p.line+lines, err)
	}
	p.line += lines
	if p.held >= maxImportSamples {
		return p.flush(ctx)
	}
	return nil
}

// flush writes what is held as blocks.
func (p *pastReader) flush(ctx context.Context) error {
	starts := make([]int64, 0, len(p.windows))
	for w := range p.windows {
		starts = append(starts, w)
	}
	slices.Sort(starts)
	for _, w := range starts {
		if err := p.t.writeWindow(ctx, p.windows[w]); err != nil {
			return fmt.Errorf("cannot write the block of %s: %w", time.UnixMilli(w*promtsdb.DefaultBlockDuration).UTC().Format(time.RFC3339), err)
		}
		for _, s := range p.windows[w] {
			p.written += len(s.samples)
		}
		delete(p.windows, w)
	}
	p.held = 0
	return nil
}

// parse sorts the samples into windows of a block each and notes the metadata.
func (p *pastReader) parse(text []byte) error {
	in := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	for {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch entry {
		case textparse.EntryType:
			name, kind := in.Type()
			p.describe(name, func(m *model.MetricMeta) { m.Type = string(kind) })
		case textparse.EntryHelp:
			name, help := in.Help()
			p.describe(name, func(m *model.MetricMeta) { m.Help = string(help) })
		case textparse.EntryUnit:
			name, unit := in.Unit()
			p.describe(name, func(m *model.MetricMeta) { m.Unit = string(unit) })
		case textparse.EntrySeries:
			if err := p.sample(in); err != nil {
				return err
			}
		}
	}
}

func (p *pastReader) describe(name []byte, set func(*model.MetricMeta)) {
	if len(p.meta) >= maxMetaNames {
		return
	}
	m := p.meta[string(name)]
	set(&m)
	p.meta[string(name)] = m
}

func (p *pastReader) sample(in textparse.Parser) error {
	series, ts, v := in.Series()
	switch {
	case ts == nil:
		return fmt.Errorf("sample of %s has no timestamp", clip(string(series)))
	case *ts < p.oldest:
		return fmt.Errorf("sample of %s at %s is older than the retention of %s: raise metrics.retention first, or leave it out",
			clip(string(series)), time.UnixMilli(*ts).UTC().Format(time.RFC3339), p.t.retention())
	case *ts > p.newest:
		return fmt.Errorf("sample of %s at %s is in the future", clip(string(series)), time.UnixMilli(*ts).UTC().Format(time.RFC3339))
	}
	p.held++
	var ls labels.Labels
	in.Labels(&ls)
	put(p.windows, string(series), ls, writeSample{t: *ts, v: v})
	return nil
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
