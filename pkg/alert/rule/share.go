package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"sort"
	"strings"
	"time"

	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"

	"braid/pkg/alert/shared"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Several alerters that evaluate together share the groups that came by the API
// to one of them: of each group the newest change wins, a deletion too.

// place is where a group of a tenant is.
type place struct {
	d                Dialect
	namespace, group string
}

// change is what a file remembers of one group.
type change struct {
	shared.Stamp
	Group string `json:"group"`
	Gone  bool   `json:"gone,omitempty"`
}

// content is a namespace: its groups, and the last change of each, also of those
// that are gone.
type content struct {
	groups  []rulefmt.RuleGroup
	changed map[string]change
}

// set adds a group or replaces the one of its name.
func (n *content) set(g rulefmt.RuleGroup, at shared.Stamp) {
	n.drop(g.Name, at)
	n.groups = append(n.groups, g)
	n.changed[g.Name] = change{Stamp: at, Group: g.Name}
}

func (n *content) drop(name string, at shared.Stamp) {
	var rest []rulefmt.RuleGroup
	for _, g := range n.groups {
		if g.Name != name {
			rest = append(rest, g)
		}
	}
	n.groups = rest
	n.changed[name] = change{Stamp: at, Group: name, Gone: true}
}

// changeMark begins the comments at the head of a file.
const changeMark = "# changed "

// maxGone bounds the deletions that a namespace remembers.
const maxGone = maxGroups

// text is the file; nothing when there is nothing to keep.
func (n *content) text(now time.Time) ([]byte, error) {
	var list, gone []change
	for _, c := range n.changed {
		r := shared.Record{Stamp: c.Stamp, Gone: c.Gone}
		switch {
		case !c.Gone:
			list = append(list, c)
		case !r.Forgotten(now):
			gone = append(gone, c)
		}
	}
	sort.Slice(gone, func(i, j int) bool { return gone[i].After(gone[j].Stamp) })
	list = append(list, gone[:min(len(gone), maxGone)]...)
	if len(n.groups) == 0 && len(list) == 0 {
		return nil, nil
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Group < list[j].Group })
	var b bytes.Buffer
	for _, c := range list {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		b.WriteString(changeMark)
		b.Write(line)
		b.WriteByte('\n')
	}
	groups, err := yaml.Marshal(rulefmt.RuleGroups{Groups: n.groups})
	b.Write(groups)
	return b.Bytes(), err
}

// read reads a namespace; one that is not there is empty.
func (s *Store) read(t tenant.ID, d Dialect, namespace string) (*content, error) {
	n := &content{changed: map[string]change{}}
	text, err := s.o.FS.ReadFile(s.file(t, d, namespace))
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read namespace %q: %w", namespace, err)
	}
	parsed, errs := rulefmt.Parse(text, false, commonmodel.UTF8Validation, s.o.Parser, s.o.Logger)
	if len(errs) > 0 {
		return nil, fmt.Errorf("cannot read namespace %q: %w", namespace, errors.Join(errs...))
	}
	n.groups = parsed.Groups
	for line := range bytes.Lines(text) {
		line, ok := bytes.CutPrefix(line, []byte(changeMark))
		var c change
		if !ok || json.Unmarshal(line, &c) != nil {
			break
		}
		n.changed[c.Group] = c
	}
	for _, g := range n.groups { // of a file without comments
		if c, ok := n.changed[g.Name]; !ok || c.Gone {
			n.changed[g.Name] = change{Group: g.Name}
		}
	}
	return n, nil
}

// record is what others are told of a group.
func (n *content) record(t tenant.ID, d Dialect, namespace string, c change) (shared.Record, error) {
	r := shared.Record{Key: keyOf(t, d, namespace, c.Group), Stamp: c.Stamp, Gone: c.Gone}
	for i := range n.groups {
		if n.groups[i].Name == c.Group {
			text, err := yaml.Marshal(n.groups[i])
			r.Text = string(text)
			return r, err
		}
	}
	return r, nil
}

func keyOf(t tenant.ID, d Dialect, namespace, group string) string {
	return strings.Join([]string{string(t), string(d), url.PathEscape(namespace), url.PathEscape(group)}, "/")
}

func parseKey(key string) (t tenant.ID, p place, err error) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return "", p, fmt.Errorf("%w: %q names no rule group", model.ErrInvalid, key)
	}
	if t, err = tenant.Parse(parts[0]); err != nil {
		return "", p, err
	}
	if p.d = Dialect(parts[1]); p.d != Metrics && p.d != Logs {
		return "", p, fmt.Errorf("%w: %q names no rule group", model.ErrInvalid, key)
	}
	var errNS, errGroup error
	p.namespace, errNS = url.PathUnescape(parts[2])
	p.group, errGroup = url.PathUnescape(parts[3])
	return t, p, errors.Join(errNS, errGroup)
}

// Records returns the last change of every group, to tell other alerters.
func (s *Store) Records() ([]shared.Record, error) {
	tenants, err := s.Tenants()
	if err != nil {
		return nil, err
	}
	var out []shared.Record
	var errs []error
	for _, t := range tenants {
		for _, d := range []Dialect{Logs, Metrics} {
			names, err := s.known(t, d)
			errs = append(errs, err)
			for _, ns := range names {
				n, err := s.read(t, d, ns)
				if errs = append(errs, err); err != nil {
					continue
				}
				for _, c := range n.changed {
					r, err := n.record(t, d, ns, c)
					if errs = append(errs, err); err == nil && !r.Forgotten(time.Now()) {
						out = append(out, r)
					}
				}
			}
		}
	}
	return out, errors.Join(errs...)
}

// maxKnown bounds the namespaces that are remembered, those without groups
// included.
const maxKnown = 2 * maxNamespaces

// tidy makes room for a namespace: of those without groups the one that was
// changed first is forgotten.
func (s *Store) tidy(t tenant.ID, d Dialect) error {
	names, err := s.known(t, d)
	if err != nil || len(names) < maxKnown {
		return err
	}
	first, oldest := "", int64(math.MaxInt64)
	for _, ns := range names {
		n, err := s.read(t, d, ns)
		if err != nil || len(n.groups) > 0 {
			continue
		}
		last := int64(0)
		for _, c := range n.changed {
			last = max(last, c.At)
		}
		if last < oldest {
			first, oldest = ns, last
		}
	}
	if first == "" {
		return fmt.Errorf("%w: there are %d namespaces already: delete some", model.ErrInvalid, len(names))
	}
	return s.write(s.file(t, d, first), nil)
}

// touch notes a change of this alerter's own; the caller holds the lock.
func (s *Store) touch(t tenant.ID, p place) {
	if s.touched[t] == nil {
		s.touched[t] = map[place]bool{}
	}
	s.touched[t][p] = true
}

// Touched returns what SetGroup, DeleteGroup and DeleteNamespace changed of a
// tenant since the last call.
func (s *Store) Touched(t tenant.ID) (out []shared.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.touched[t] {
		n, err := s.read(t, p.d, p.namespace)
		if err != nil {
			return out, err
		}
		if c, ok := n.changed[p.group]; ok {
			r, err := n.record(t, p.d, p.namespace, c)
			if err != nil {
				return out, err
			}
			out = append(out, r)
		}
	}
	delete(s.touched, t)
	return out, nil
}

// Taken is what Take changed of a tenant.
type Taken struct {
	Tenant tenant.ID
	// Changes are those that were newer.
	Changes []shared.Record
	undo    []func() error
}

// Undo takes the changes back.
func (t *Taken) Undo() error {
	var errs []error
	for _, f := range t.undo {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// Take keeps what other alerters tell, as far as it is newer than what is here.
// The error tells of what cannot be kept; the rest is.
func (s *Store) Take(records []shared.Record) ([]Taken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type space struct {
		t         tenant.ID
		d         Dialect
		namespace string
	}
	spaces, told := []space{}, map[space][]shared.Record{}
	groups := map[string]string{} // by key
	var errs []error
	for _, r := range records {
		t, p, err := parseKey(r.Key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		at := space{t, p.d, p.namespace}
		if told[at] == nil {
			spaces = append(spaces, at)
		}
		told[at] = append(told[at], r)
		groups[r.Key] = p.group
	}
	out := []Taken{}
	of := map[tenant.ID]int{}
	for _, at := range spaces {
		n, err := s.read(at.t, at.d, at.namespace)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var taken []shared.Record
		for _, r := range told[at] {
			newer, err := s.merge(n, at.t, place{at.d, at.namespace, groups[r.Key]}, r)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.Key, err))
			}
			if newer {
				taken = append(taken, r)
			}
		}
		if len(taken) == 0 {
			continue
		}
		undo, err := s.replace(at.t, at.d, at.namespace, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		i, ok := of[at.t]
		if !ok {
			i, out = len(out), append(out, Taken{Tenant: at.t})
			of[at.t] = i
		}
		out[i].Changes, out[i].undo = append(out[i].Changes, taken...), append(out[i].undo, undo)
	}
	return out, errors.Join(errs...)
}

// merge puts a change into a namespace when it is newer than what is there.
func (s *Store) merge(n *content, t tenant.ID, p place, r shared.Record) (bool, error) {
	if r.Forgotten(time.Now()) {
		return false, nil
	}
	if c, known := n.changed[p.group]; known && !r.After(c.Stamp) {
		if c.Stamp != r.Stamp || c.Gone {
			return false, nil
		}
		// Two that were never told of each other: the same one wins everywhere.
		mine, err := n.record(t, p.d, p.namespace, c)
		if err != nil || mine.Text >= r.Text {
			return false, err
		}
	}
	if r.Gone {
		n.drop(p.group, r.Stamp)
		return true, nil
	}
	var g rulefmt.RuleGroup
	dec := yaml.NewDecoder(strings.NewReader(r.Text))
	dec.KnownFields(true)
	if err := dec.Decode(&g); err != nil {
		return false, fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	if g.Name != p.group {
		return false, fmt.Errorf("%w: it holds group %q", model.ErrInvalid, g.Name)
	}
	if err := s.admit(t, p.d, p.namespace, &g); err != nil {
		return false, err
	}
	one := content{groups: []rulefmt.RuleGroup{g}}
	text, err := one.text(time.Now())
	if err != nil {
		return false, err
	}
	if _, errs := rulefmt.Parse(text, false, commonmodel.UTF8Validation, s.o.Parser, s.o.Logger); len(errs) > 0 {
		return false, fmt.Errorf("%w: %w", model.ErrInvalid, errors.Join(errs...))
	}
	n.set(g, r.Stamp)
	return true, nil
}
