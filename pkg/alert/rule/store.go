package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"braid/internal/vfs"
	"braid/pkg/alert/shared"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Dialect tells which API a stored group came by, and so in which language its
// expressions are read and shown there.
type Dialect string

// The dialects.
const (
	Metrics Dialect = "prometheus"
	Logs    Dialect = "loki"
)

// Bounds of what the API may store for one tenant.
const (
	maxNamespaces   = 1000
	maxGroups       = 5000
	maxRulesOfGroup = 1000
	maxNameBytes    = 64
)

// StoreOptions of a Store. Dir and Parser are required.
type StoreOptions struct {
	FS     vfs.FS
	Dir    string
	Parser parser.Parser
	// By tells this alerter from others with which it shares the groups.
	By     string
	Logger *slog.Logger
}

// Store keeps the rule groups that came by the API: a YAML file a namespace,
// under the tenant and the dialect. A file is a Prometheus rule file, which
// promtool takes; comments at its head say when each group was changed, and
// which are gone. A change is on disk, whole, when it is answered for. Safe for
// concurrent use.
type Store struct {
	o       StoreOptions
	mu      sync.Mutex                   // one change at a time
	touched map[tenant.ID]map[place]bool // guarded by mu
}

// OpenStore makes a store.
func OpenStore(o StoreOptions) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := vfs.MkdirAllDurable(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("cannot make the folder of rules %s: %w", o.Dir, err)
	}
	return &Store{o: o, touched: map[tenant.ID]map[place]bool{}}, nil
}

func (s *Store) dir(t tenant.ID, d Dialect) string {
	return filepath.Join(s.o.Dir, string(t), string(d))
}

// file is where a namespace lies; the name is escaped, so that none can leave
// the folder.
func (s *Store) file(t tenant.ID, d Dialect, namespace string) string {
	return filepath.Join(s.dir(t, d), "ns-"+url.PathEscape(namespace)+".yml")
}

// Tenants lists those that have rules.
func (s *Store) Tenants() ([]tenant.ID, error) {
	entries, err := s.o.FS.ReadDir(s.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", s.o.Dir, err)
	}
	var out []tenant.ID
	for _, e := range entries {
		if t, err := tenant.Parse(e.Name()); err == nil && e.IsDir() {
			out = append(out, t)
		}
	}
	return out, nil
}

// Files lists a tenant's rule files, of all dialects.
func (s *Store) Files(t tenant.ID) ([]string, error) {
	var out []string
	for _, d := range []Dialect{Logs, Metrics} {
		names, err := s.Namespaces(t, d)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			out = append(out, s.file(t, d, n))
		}
	}
	return out, nil
}

// Namespaces lists a tenant's namespaces, sorted.
func (s *Store) Namespaces(t tenant.ID, d Dialect) ([]string, error) {
	all, err := s.known(t, d)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range all {
		text, err := s.o.FS.ReadFile(s.file(t, d, n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot read namespace %q: %w", n, err)
		}
		if err == nil && !bytes.HasSuffix(text, []byte(noGroups)) {
			out = append(out, n)
		}
	}
	return out, nil
}

// noGroups is how a file ends that only says what is gone.
const noGroups = "\ngroups: []\n"

// known lists the namespaces that have groups or had some.
func (s *Store) known(t tenant.ID, d Dialect) ([]string, error) {
	entries, err := s.o.FS.ReadDir(s.dir(t, d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", s.dir(t, d), err)
	}
	var out []string
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), "ns-")
		name, yml := strings.CutSuffix(name, ".yml")
		if plain, err := url.PathUnescape(name); err == nil && ok && yml {
			out = append(out, plain)
		}
	}
	sort.Strings(out)
	return out, nil
}

// Groups returns the groups of a namespace; model.ErrNotFound when it is not
// there.
func (s *Store) Groups(t tenant.ID, d Dialect, namespace string) ([]rulefmt.RuleGroup, error) {
	n, err := s.read(t, d, namespace)
	if err != nil {
		return nil, err
	}
	if len(n.groups) == 0 {
		return nil, fmt.Errorf("no rule groups in namespace %q: %w", namespace, model.ErrNotFound)
	}
	return n.groups, nil
}

// Group returns one group; model.ErrNotFound when it is not there.
func (s *Store) Group(t tenant.ID, d Dialect, namespace, name string) (rulefmt.RuleGroup, error) {
	groups, err := s.Groups(t, d, namespace)
	if err != nil {
		return rulefmt.RuleGroup{}, err
	}
	for _, g := range groups {
		if g.Name == name {
			return g, nil
		}
	}
	return rulefmt.RuleGroup{}, fmt.Errorf("no rule group %q in namespace %q: %w", name, namespace, model.ErrNotFound)
}

// SetGroup adds a group to a namespace or replaces the one of its name. Errors
// wrap model.ErrInvalid when the group is at fault. undo takes the change back.
func (s *Store) SetGroup(t tenant.ID, d Dialect, namespace string, g rulefmt.RuleGroup) (undo func() error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(t, d, namespace, &g); err != nil {
		return nil, err
	}
	n, err := s.read(t, d, namespace)
	if err != nil {
		return nil, err
	}
	n.set(g, shared.Next(time.Now(), s.o.By, n.changed[g.Name].Stamp))
	s.touch(t, place{d, namespace, g.Name})
	return s.replace(t, d, namespace, n)
}

// DeleteGroup removes a group; model.ErrNotFound when it is not there.
func (s *Store) DeleteGroup(t tenant.ID, d Dialect, namespace, name string) (undo func() error, err error) {
	return s.remove(t, d, namespace, name)
}

// DeleteNamespace removes all groups of a namespace.
func (s *Store) DeleteNamespace(t tenant.ID, d Dialect, namespace string) (undo func() error, err error) {
	return s.remove(t, d, namespace, "")
}

// remove removes a group, or all of them when none is named.
func (s *Store) remove(t tenant.ID, d Dialect, namespace, name string) (undo func() error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups, err := s.Groups(t, d, namespace)
	if err != nil {
		return nil, err
	}
	n, err := s.read(t, d, namespace)
	if err != nil {
		return nil, err
	}
	gone := 0
	for _, g := range groups {
		if name == "" || g.Name == name {
			n.drop(g.Name, shared.Next(time.Now(), s.o.By, n.changed[g.Name].Stamp))
			s.touch(t, place{d, namespace, g.Name})
			gone++
		}
	}
	if gone == 0 {
		return nil, fmt.Errorf("no rule group %q in namespace %q: %w", name, namespace, model.ErrNotFound)
	}
	return s.replace(t, d, namespace, n)
}

func (s *Store) admit(t tenant.ID, d Dialect, namespace string, g *rulefmt.RuleGroup) error {
	for what, name := range map[string]string{"namespace": namespace, "group name": g.Name} {
		if name == "" || len(name) > maxNameBytes {
			return fmt.Errorf("%w: %s has %d bytes; 1 to %d are allowed", model.ErrInvalid, what, len(name), maxNameBytes)
		}
	}
	if len(g.Rules) == 0 || len(g.Rules) > maxRulesOfGroup {
		return fmt.Errorf("%w: group %q has %d rules; 1 to %d are allowed", model.ErrInvalid, g.Name, len(g.Rules), maxRulesOfGroup)
	}
	names, err := s.Namespaces(t, d)
	if err == nil && len(names) >= maxNamespaces {
		for _, n := range names {
			if n == namespace {
				return nil
			}
		}
		return fmt.Errorf("%w: there are %d namespaces already: delete some", model.ErrInvalid, maxNamespaces)
	}
	return err
}

// replace writes a namespace anew. What a namespace was is in the undo.
func (s *Store) replace(t tenant.ID, d Dialect, namespace string, n *content) (func() error, error) {
	if len(n.groups) > maxGroups {
		return nil, fmt.Errorf("%w: namespace %q has %d groups already: delete some, or use another namespace", model.ErrInvalid, namespace, maxGroups)
	}
	path := s.file(t, d, namespace)
	old, err := s.o.FS.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read namespace %q: %w", namespace, err)
	}
	text, err := n.text(time.Now())
	if err != nil {
		return nil, fmt.Errorf("cannot encode namespace %q: %w", namespace, err)
	}
	if _, errs := rulefmt.Parse(text, false, commonmodel.UTF8Validation, s.o.Parser, s.o.Logger); len(text) > 0 && len(errs) > 0 {
		return nil, fmt.Errorf("%w: %w", model.ErrInvalid, errors.Join(errs...))
	}
	if old == nil {
		if err := s.tidy(t, d); err != nil {
			return nil, err
		}
	}
	if err := s.write(path, text); err != nil {
		return nil, fmt.Errorf("cannot write namespace %q: %w", namespace, err)
	}
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.write(path, old)
	}, nil
}

// write replaces a file durably; no text removes it.
func (s *Store) write(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := vfs.MkdirAllDurable(s.o.FS, dir); err != nil {
		return err
	}
	if len(text) == 0 {
		if err := s.o.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return s.o.FS.SyncDir(dir)
	}
	f, err := s.o.FS.Create(path + ".new")
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.o.FS.Rename(path+".new", path); err != nil {
		return err
	}
	return s.o.FS.SyncDir(dir)
}
