package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/federate"
	"braid/pkg/query/logql"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// ask looks one id up and checks that what comes is what was sent.
func ask(ctx context.Context, f *correlation.Finder, id string, want int) (time.Duration, error) {
	began := time.Now()
	w, err := f.Correlate(ctx, tenant.Default, correlation.Request{ID: id})
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	if len(w.Spans) != want || len(w.Logs) != want {
		return 0, fmt.Errorf("id %q: %d spans and %d records, want %d of each (%v)", id, len(w.Spans), len(w.Logs), want, w.Warnings)
	}
	return took, nil
}

// unknown makes an id that nobody sent.
func unknown(r *rand.Rand, kind int) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], r.Uint64())
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	if kind == 0 {
		return fmt.Sprintf("%x", id)
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// aside is the CPU time of what is measured with the look-ups and is none of
// them: making the files cold.
var aside time.Duration

func measure(ctx context.Context, name string, n int, one func(i int) (time.Duration, error)) error {
	var took []time.Duration
	c0 := cpu()
	aside = 0
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := one(i)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	quantiles(name, took, cpu()-c0-aside)
	return nil
}

// lookup asks for known and unknown ids, first with nothing in memory.
func lookup(ctx context.Context, s *settings) error {
	header(fmt.Sprintf("look-ups, %d blocks", 2*s.blocks))
	r := rand.New(rand.NewPCG(3, 3))
	began := time.Now()
	st, err := openStores(s.dir, model.NewKeySpec(nil))
	if err != nil {
		return err
	}
	opening := time.Since(began)
	known := func(i int) (string, int) {
		q := makeRequest(r.IntN(s.requests() / s.blocks * s.blocks))
		if i%2 == 0 {
			return q.id, hops
		}
		return strings.ToUpper(q.trace.String()), hops
	}
	// Cold: the kernel has forgotten every file before each look-up. What the
	// process itself keeps of the blocks (the directory of ids) it keeps.
	cold := func(known bool, id func(i int) (string, int)) func(i int) (time.Duration, error) {
		return func(i int) (time.Duration, error) {
			c0 := cpu()
			if err := evict(s.dir); err != nil {
				return 0, err
			}
			aside += cpu() - c0
			text, want := id(i)
			return ask(ctx, st.finder, text, want)
		}
	}
	none := func(i int) (string, int) { return unknown(r, i%2), 0 }
	warm := func(id func(i int) (string, int)) func(i int) (time.Duration, error) {
		return func(i int) (time.Duration, error) {
			text, want := id(i)
			return ask(ctx, st.finder, text, want)
		}
	}
	rows := []struct {
		name string
		n    int
		one  func(i int) (time.Duration, error)
	}{
		{"known id, the first after opening, cold", 1, cold(true, known)},
		{"known id, cold files", max(1, s.lookups/8), cold(true, known)},
		{"unknown id, cold files", max(1, s.lookups/8), cold(false, none)},
		{"known id, warm", s.lookups, warm(known)},
		{"unknown id, warm", s.lookups, warm(none)},
	}
	for _, row := range rows {
		runtime.GC()
		if err := measure(ctx, row.name, row.n, row.one); err != nil {
			return err
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("opening %.1f s, heap %d MiB, peak %d MiB, on disk %.1f bytes a record\n", opening.Seconds(), m.HeapAlloc>>20, peak()>>20,
		float64(size(s.dir, ""))/float64(s.records))
	return st.close()
}

// curve asks over a growing number of blocks of the same size.
func curve(ctx context.Context, s *settings) error {
	header("look-ups by number of blocks, warm")
	per, last := s.requests()/s.blocks, 0
	for _, blocks := range s.curve {
		if blocks > s.blocks && last == s.blocks {
			break
		}
		blocks = min(blocks, s.blocks)
		last = blocks
		dir := filepath.Join(s.dir, fmt.Sprint("curve-", blocks))
		if err := linkBlocks(s.dir, dir, blocks); err != nil {
			return err
		}
		st, err := openStores(dir, model.NewKeySpec(nil))
		if err != nil {
			return err
		}
		r := rand.New(rand.NewPCG(5, 5))
		known := func(i int) (time.Duration, error) {
			return ask(ctx, st.finder, makeRequest(r.IntN(per*blocks)).id, hops)
		}
		none := func(i int) (time.Duration, error) { return ask(ctx, st.finder, unknown(r, i%2), 0) }
		for i := range 20 { // what any process has soon
			if _, err := known(i); err != nil {
				return err
			}
		}
		if err := measure(ctx, fmt.Sprintf("known id, %d + %d blocks", blocks, blocks), s.lookups, known); err != nil {
			return err
		}
		if err := measure(ctx, fmt.Sprintf("unknown id, %d + %d blocks", blocks, blocks), s.lookups, none); err != nil {
			return err
		}
		if err := st.close(); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// heads asks while everything is in memory still, and while more comes: a
// hundred records between two look-ups.
func heads(ctx context.Context, s *settings) error {
	dir := filepath.Join(s.dir, "heads")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	st, err := openStores(dir, model.NewKeySpec(nil))
	if err != nil {
		return err
	}
	g, pos := newGenerator(), model.Position(0)
	n := min(24_000, s.requests()) // 120,000 spans and as many records: heads that are nearly full
	if err := st.append(ctx, g, 0, n, &pos); err != nil {
		return err
	}
	header(fmt.Sprintf("look-ups in heads of %d spans and %d records", n*hops, n*hops))
	r := rand.New(rand.NewPCG(7, 7))
	arrive := func() error {
		n += 10
		c0 := cpu()
		defer func() { aside += cpu() - c0 }()
		return st.append(ctx, g, n-10, n, &pos)
	}
	if err := measure(ctx, "known id, the first", 1, func(int) (time.Duration, error) {
		return ask(ctx, st.finder, makeRequest(r.IntN(n)).id, hops)
	}); err != nil {
		return err
	}
	if err := measure(ctx, "known id", s.lookups, func(int) (time.Duration, error) {
		if err := arrive(); err != nil {
			return 0, err
		}
		return ask(ctx, st.finder, makeRequest(r.IntN(n)).id, hops)
	}); err != nil {
		return err
	}
	if err := measure(ctx, "unknown id", s.lookups, func(i int) (time.Duration, error) {
		if err := arrive(); err != nil {
			return 0, err
		}
		return ask(ctx, st.finder, unknown(r, i%2), 0)
	}); err != nil {
		return err
	}
	if err := st.close(); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// linkBlocks makes a folder with hard links of the first blocks of each store.
func linkBlocks(from, to string, blocks int) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	for _, store := range []string{"traces", "logs"} {
		root := filepath.Join(from, store)
		names, err := blockFolders(root)
		if err != nil {
			return err
		}
		if len(names) < blocks {
			return fmt.Errorf("%d blocks in %s, want %d", len(names), root, blocks)
		}
		for _, name := range names[:blocks] {
			files, err := os.ReadDir(filepath.Join(root, name))
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(to, store, name), 0o750); err != nil {
				return err
			}
			for _, f := range files {
				if err := os.Link(filepath.Join(root, name, f.Name()), filepath.Join(to, store, name, f.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// blockFolders returns the folders of a tenant's blocks, in the order in which
// they were loaded.
func blockFolders(root string) (out []string, err error) {
	first := map[string]model.Position{}
	tenants, err := os.ReadDir(root)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, t := range tenants {
		if !t.IsDir() {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(root, t.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			name := filepath.Join(t.Name(), e.Name())
			meta, err := block.ReadMeta(vfs.OS, filepath.Join(root, name))
			if err != nil {
				return nil, err
			}
			first[name], _ = meta.Positions.Min()
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	return out, nil
}

// join runs queries that join some ten thousand ids over two signals.
func join(ctx context.Context, s *settings) error {
	st, err := openStores(s.dir, model.NewKeySpec(nil))
	if err != nil {
		return err
	}
	e := federate.New(federate.Options{Metrics: st.metrics, Logs: st.logs, Traces: st.traces, KeySpec: func() *model.KeySpec { return st.spec },
		SpanFilter: traceql.SpanFilter, LogFilter: logql.LogFilter, Selectors: func(string) ([][]query.LabelMatcher, error) { return nil, nil }})
	// One request in a hundred fails: a million of them hold ten thousand ids.
	end := makeRequest(min(1_000_000, s.requests()-1)).at
	header("queries that join signals")
	for _, q := range []struct{ name, text string }{
		{"semi join, 10,000 ids", "failed = traces {span.http.response.status_code=500 && resource.service.name=\"payment\"}\nsaid = logs {service_name=\"payment\"} |= \"cannot charge\"\nfrom failed semi join said on trace | count"},
		{"enrich and group, 10,000 ids", "said = logs {service_name=\"payment\"} |= \"cannot charge\"\nfailed = traces {span.http.response.status_code=500}\nfrom said enrich tier = failed.user.tier, worst = max(failed.duration) | group by tier | count, worst = max(worst)"},
		{"anti join, 10,000 ids", "said = logs {service_name=\"payment\"} |= \"cannot charge\"\nfailed = traces {span.http.response.status_code=500}\nfrom said anti join failed on trace | count"},
	} {
		p, err := e.Plan(q.text)
		if err != nil {
			return err
		}
		answer := ""
		err = measure(ctx, q.name, 3, func(int) (time.Duration, error) {
			began := time.Now()
			res, err := e.Run(ctx, tenant.Default, p, federate.Params{Range: model.TimeRange{Start: start, End: end}})
			if err != nil {
				return 0, err
			}
			answer = fmt.Sprint(len(res.Rows), " rows")
			if len(res.Rows) > 0 {
				answer += fmt.Sprint(", the first ", texts(res.Rows[0]))
			}
			return time.Since(began), nil
		})
		if err != nil {
			return err
		}
		fmt.Println("   ", answer)
	}
	return st.close()
}

func texts(row []model.Value) (out []string) {
	for _, v := range row {
		out = append(out, v.Text())
	}
	return out
}

// outliers asks what is different about the slow requests among all spans.
func outliers(ctx context.Context, s *settings) error {
	st, err := openStores(s.dir, model.NewKeySpec(nil))
	if err != nil {
		return err
	}
	all := model.TimeRange{Start: start, End: makeRequest(s.requests()).at}
	header(fmt.Sprintf("what is different, %d spans and records", s.records))
	ask := func(logs bool, text string) func(int) (time.Duration, error) {
		return func(i int) (time.Duration, error) {
			read := traceql.SpanFilter
			if logs {
				read = logql.LogFilter
			}
			filter, err := read(text)
			if err != nil {
				return 0, err
			}
			began := time.Now()
			got, err := st.finder.Outliers(ctx, tenant.Default, correlation.OutlierRequest{Logs: logs, Selection: filter, Range: all})
			took := time.Since(began)
			if err == nil && i == 0 {
				for _, o := range got.Outliers[:min(3, len(got.Outliers))] {
					fmt.Printf("    %s=%s: %.3f of the selection, %.3f of the rest\n", o.Field, o.Value, o.SelectionShare, o.BaselineShare)
				}
				fmt.Printf("    from %d and %d rows, error %.4f\n", got.SelectionRows, got.BaselineRows, got.Error)
			}
			return took, err
		}
	}
	for _, row := range []struct {
		name string
		one  func(int) (time.Duration, error)
	}{
		{"slow spans", ask(false, `{ duration > 1s }`)},
		{"failed spans", ask(false, `{ status = error }`)},
		{"error logs", ask(true, `{service_name="payment"} |= "cannot charge"`)},
	} {
		if err := measure(ctx, row.name, 5, row.one); err != nil {
			return err
		}
	}
	return st.close()
}

// ingestCost loads the same records with and without the configured kinds of ids
// being indexed, a block of one and a block of the other in turn, so that what
// else runs on the machine troubles both alike, and compares CPU and bytes.
func ingestCost(ctx context.Context, s *settings) error {
	const perBlock, batch = 2500, 250 // requests of ten records
	blocks := max(2, min(80, s.requests()/perBlock))
	root := filepath.Join(s.dir, "ingest")
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	var houses [2]*stores
	for i, spec := range []*model.KeySpec{model.NewKeySpec(map[string][]string{}), model.NewKeySpec(nil)} {
		st, err := openStores(filepath.Join(root, fmt.Sprint(i)), spec)
		if err != nil {
			return err
		}
		houses[i] = st
	}
	g, pos := newGenerator(), model.Position(0)
	var used [2]time.Duration
	for b := range blocks {
		for turn := range 2 {
			with := (b + turn) % 2
			var spans []*model.Spans
			var logs []*model.Logs
			for at := b * perBlock; at < (b+1)*perBlock; at += batch {
				sp, lg := g.batch(at, batch)
				spans, logs = append(spans, sp), append(logs, lg)
			}
			runtime.GC()
			c0 := cpu()
			for i := range spans {
				pos++
				if err := houses[with].take(ctx, pos, spans[i], logs[i]); err != nil {
					return err
				}
			}
			if err := houses[with].flush(ctx); err != nil {
				return err
			}
			used[with] += cpu() - c0
		}
	}
	records := float64(blocks * perBlock * 2 * hops)
	bytes := size(filepath.Join(root, "1"), "ids") + size(filepath.Join(root, "1"), "keys")
	fmt.Printf("\nids as they are taken in, %.0f records, %d blocks of each in turn\n", records, blocks)
	fmt.Printf("%-44s %9.2f CPU-s a million records\n", "configured kinds not indexed", used[0].Seconds()/records*1e6)
	fmt.Printf("%-44s %9.2f CPU-s a million records (%+.1f %%)\n", "all kinds indexed", used[1].Seconds()/records*1e6, 100*(used[1].Seconds()/used[0].Seconds()-1))
	fmt.Printf("%-44s %9.2f bytes a record\n", "id indexes on disk", float64(bytes)/records)
	return errors.Join(houses[0].close(), houses[1].close(), os.RemoveAll(root))
}
