package tsdb

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"braid/pkg/model"
)

// maxMetaNames bounds the metric names described per tenant: names are few
// unless a sender puts ids into them.
const maxMetaNames = 200_000

// metaStore keeps type, help and unit by metric name. The file is lines of
// JSON, appended as names come and rewritten at open: the last line of a name
// wins, and a torn last line is left out.
type metaStore struct {
	mu    sync.RWMutex
	names map[string]model.MetricMeta // guarded by mu
	path  string
	file  *os.File
	w     *bufio.Writer
	dirty bool
}

type metaLine struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
	Help string `json:"help,omitempty"`
	Unit string `json:"unit,omitempty"`
}

func openMeta(path string) (*metaStore, error) {
	s := &metaStore{path: path, names: map[string]model.MetricMeta{}}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("cannot read metadata %q: %w", path, err)
	}
	if err := s.rewrite(); err != nil {
		return nil, fmt.Errorf("cannot write metadata %q: %w", path, err)
	}
	return s, nil
}

func (s *metaStore) load() error {
	f, err := os.Open(s.path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l metaLine
		if json.Unmarshal(sc.Bytes(), &l) == nil && l.Name != "" {
			s.names[l.Name] = model.MetricMeta{Type: l.Type, Help: l.Help, Unit: l.Unit}
		}
	}
	return sc.Err()
}

// rewrite puts one line a name into a fresh file and opens it for appending.
func (s *metaStore) rewrite() error {
	tmp := s.path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	s.file, s.w = f, bufio.NewWriter(f)
	for name, m := range s.names {
		if err := s.write(name, m); err != nil {
			return err
		}
	}
	s.dirty = true
	if err := s.sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

func (s *metaStore) write(name string, m model.MetricMeta) error {
	b, err := json.Marshal(metaLine{name, m.Type, m.Help, m.Unit})
	if err != nil {
		return err
	}
	s.dirty = true
	_, err = s.w.Write(append(b, '\n'))
	return err
}

// maxHelp bounds a description: the rest is cut off.
const maxHelp = 4 << 10

// note learns what a metric is. The strings are copied.
func (s *metaStore) note(name string, m model.MetricMeta) error {
	if len(m.Help) > maxHelp {
		m.Help = m.Help[:maxHelp]
	}
	m.Help, m.Unit = validText(m.Help), validText(m.Unit)
	s.mu.RLock()
	old, ok := s.names[name]
	n := len(s.names)
	s.mu.RUnlock()
	if ok && old == m || !ok && n >= maxMetaNames {
		return nil
	}
	m = model.MetricMeta{Type: cloneText(m.Type), Help: cloneText(m.Help), Unit: cloneText(m.Unit)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[cloneText(name)] = m
	return s.write(name, m)
}

func cloneText(s string) string { return string([]byte(s)) }

// get returns the metadata of one metric, or of up to limit ones when metric
// is empty; limit 0 means all.
func (s *metaStore) get(metric string, limit int) map[string]model.MetricMeta {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := map[string]model.MetricMeta{}
	if metric != "" {
		if m, ok := s.names[metric]; ok {
			out[metric] = m
		}
		return out
	}
	for name, m := range s.names {
		if limit > 0 && len(out) >= limit {
			break
		}
		out[name] = m
	}
	return out
}

// sync makes what was noted durable.
func (s *metaStore) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.dirty = false
	return nil
}

func (s *metaStore) close() error {
	return errors.Join(s.sync(), s.file.Close())
}
