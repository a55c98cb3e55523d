package boardapi

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Options of the API. Dir is required.
type Options struct {
	Dir string
	FS  vfs.FS // nil: the operating system's
	Now func() time.Time
	// MaxBytes bounds one dashboard; 0 means 2 MiB. MaxBoards bounds those of a
	// tenant; 0 means 1,000.
	MaxBytes  int64
	MaxBoards int
	// MaxViews, MaxNotes and MaxLinks bound the saved views, notes and short
	// links of a tenant; 0 means 1,000, 5,000 and 20,000.
	MaxViews, MaxNotes, MaxLinks int
}

// API serves what people keep in the UI. Safe for concurrent use.
type API struct {
	o     Options
	kinds []*kind
	mu    sync.RWMutex // one writer at a time
	// small holds the documents of kinds that are listed whole, by tenant and
	// kind: filled at the first use, kept equal to the disk by every write.
	small map[string]map[string]*Board
}

// kind is one sort of document: how it is called, where it lies, its bounds.
type kind struct {
	plural, singular string
	folder           string // under the tenant's; "" is the tenant's own
	maxBytes         int64
	max              int
	whole            bool // lists carry the documents: they are small
	links            bool // made by content, never by id
}

// New makes the API.
func New(o Options) *API {
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 2 << 20
	}
	or := func(n, otherwise int) int {
		if n == 0 {
			return otherwise
		}
		return n
	}
	return &API{o: o, small: map[string]map[string]*Board{}, kinds: []*kind{
		{plural: "dashboards", singular: "dashboard", maxBytes: o.MaxBytes, max: or(o.MaxBoards, 1000)},
		{plural: "views", singular: "view", folder: "views", maxBytes: 16 << 10, max: or(o.MaxViews, 1000), whole: true},
		{plural: "notes", singular: "note", folder: "notes", maxBytes: 8 << 10, max: or(o.MaxNotes, 5000), whole: true},
		{plural: "links", singular: "link", folder: "links", maxBytes: 16 << 10, max: or(o.MaxLinks, 20_000), whole: true, links: true},
	}}
}

// Board is one dashboard, view, note or link. Document is the UI's own JSON, as text.
type Board struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Updated  int64  `json:"updatedMs"` // Unix ms
	Document string `json:"document,omitempty"`
}

// Register mounts the API.
func (a *API) Register(mux *http.ServeMux) {
	for _, k := range a.kinds {
		base := "/api/braid/v1/" + k.plural
		mux.HandleFunc("GET "+base+"/{id}", a.handle(k, a.get))
		if k.links {
			mux.HandleFunc("POST "+base, a.handle(k, a.link))
			continue
		}
		mux.HandleFunc("GET "+base, a.handle(k, a.list))
		mux.HandleFunc("PUT "+base+"/{id}", a.handle(k, a.put))
		mux.HandleFunc("DELETE "+base+"/{id}", a.handle(k, a.remove))
	}
}

func (a *API) handle(k *kind, do func(k *kind, t tenant.ID, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromHTTP(r)
		var answer any
		if err == nil {
			answer, err = do(k, t, r)
		} else {
			err = fmt.Errorf("%w: %w", model.ErrInvalid, err)
		}
		status := http.StatusOK
		if err != nil {
			status = http.StatusInternalServerError
			switch {
			case errors.Is(err, model.ErrInvalid):
				status = http.StatusBadRequest
			case errors.Is(err, model.ErrNotFound):
				status = http.StatusNotFound
			case errors.Is(err, model.ErrTooMuch):
				status = http.StatusRequestEntityTooLarge
			}
			answer = map[string]string{"message": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// validID keeps ids fit for a file name on every system.
var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,99}$`)

func (a *API) dir(k *kind, t tenant.ID) string {
	return filepath.Join(a.o.Dir, string(t), k.folder)
}

func (a *API) path(k *kind, t tenant.ID, id string) (string, error) {
	if !validID.MatchString(id) {
		return "", fmt.Errorf("%w: %s id %q: use small letters, digits, - and _, at most 100", model.ErrInvalid, k.singular, id)
	}
	return filepath.Join(a.dir(k, t), id+".json"), nil
}

func (a *API) list(k *kind, t tenant.ID, _ *http.Request) (any, error) {
	a.mu.Lock() // the first list of a kind fills small
	defer a.mu.Unlock()
	boards := []*Board{}
	if k.whole {
		have, err := a.shelf(k, t)
		if err != nil {
			return nil, err
		}
		for _, b := range have {
			boards = append(boards, b)
		}
	} else {
		have, err := a.all(k, t)
		if err != nil {
			return nil, err
		}
		for _, b := range have {
			b.Document = ""
			boards = append(boards, b)
		}
	}
	sort.Slice(boards, func(i, j int) bool {
		return boards[i].Title < boards[j].Title || boards[i].Title == boards[j].Title && boards[i].ID < boards[j].ID
	})
	return map[string][]*Board{k.plural: boards}, nil
}

// shelf returns the documents of a kind that is listed whole. a.mu is held for writing.
func (a *API) shelf(k *kind, t tenant.ID) (map[string]*Board, error) {
	dir := a.dir(k, t)
	if have, ok := a.small[dir]; ok {
		return have, nil
	}
	list, err := a.all(k, t)
	if err != nil {
		return nil, err
	}
	have := map[string]*Board{}
	for _, b := range list {
		have[b.ID] = b
	}
	a.small[dir] = have
	return have, nil
}

// all reads a tenant's documents of a kind. A file that cannot be read is left
// out: the others must stay reachable.
func (a *API) all(k *kind, t tenant.ID) ([]*Board, error) {
	boards := []*Board{}
	entries, err := a.o.FS.ReadDir(a.dir(k, t))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list %s: %w", k.plural, err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		if b, err := a.read(k, filepath.Join(a.dir(k, t), e.Name())); err == nil {
			boards = append(boards, b)
		}
	}
	return boards, nil
}

func (a *API) read(k *kind, path string) (*Board, error) {
	data, err := a.o.FS.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %q: %w", k.singular, strings.TrimSuffix(filepath.Base(path), ".json"), model.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", k.singular, err)
	}
	var b Board
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("cannot read %s %s: %w", k.singular, path, err)
	}
	return &b, nil
}

func (a *API) get(k *kind, t tenant.ID, r *http.Request) (any, error) {
	path, err := a.path(k, t, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.read(k, path)
}

func (a *API) put(k *kind, t tenant.ID, r *http.Request) (any, error) {
	id := r.PathValue("id")
	if _, err := a.path(k, t, id); err != nil {
		return nil, err
	}
	b, err := a.body(k, r)
	if err != nil {
		return nil, err
	}
	b.ID = id
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keep(k, t, b)
}

// link keeps a document under an id made of its content, so that the same
// place always has the same short link. The oldest links make room for new ones.
func (a *API) link(k *kind, t tenant.ID, r *http.Request) (any, error) {
	b, err := a.body(k, r)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(b.Document))
	b.ID = strings.ToLower(base32.StdEncoding.EncodeToString(sum[:6])[:10])
	a.mu.Lock()
	defer a.mu.Unlock()
	have, err := a.shelf(k, t)
	if err != nil {
		return nil, err
	}
	if old, ok := have[b.ID]; ok && old.Document != b.Document {
		// Two places of 2^48: the longer name tells them apart.
		b.ID = strings.ToLower(base32.StdEncoding.EncodeToString(sum[:30]))
	}
	if _, ok := have[b.ID]; !ok && len(have) >= k.max {
		if err := a.dropOldest(k, t, have, max(1, k.max/20)); err != nil {
			return nil, err
		}
	}
	return a.keep(k, t, b)
}

func (a *API) dropOldest(k *kind, t tenant.ID, have map[string]*Board, n int) error {
	old := make([]*Board, 0, len(have))
	for _, b := range have {
		old = append(old, b)
	}
	sort.Slice(old, func(i, j int) bool { return old[i].Updated < old[j].Updated })
	for _, b := range old[:min(n, len(old))] {
		if err := a.o.FS.Remove(filepath.Join(a.dir(k, t), b.ID+".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot make room for a new %s: %w", k.singular, err)
		}
		delete(have, b.ID)
	}
	return nil
}

// body reads a document and holds it to its bounds.
func (a *API) body(k *kind, r *http.Request) (*Board, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, k.maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", model.ErrInvalid, err)
	}
	if int64(len(data)) > k.maxBytes {
		return nil, fmt.Errorf("%w: a %s has at most %d bytes", model.ErrTooMuch, k.singular, k.maxBytes)
	}
	var b Board
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%w: body: %w", model.ErrInvalid, err)
	}
	if !json.Valid([]byte(b.Document)) {
		return nil, fmt.Errorf("%w: document is not JSON", model.ErrInvalid)
	}
	return &b, nil
}

// keep writes a document. a.mu is held for writing.
func (a *API) keep(k *kind, t tenant.ID, b *Board) (any, error) {
	path, err := a.path(k, t, b.ID)
	if err != nil {
		return nil, err
	}
	b.Updated = a.o.Now().UnixMilli()
	if _, err := a.o.FS.Stat(path); err != nil {
		n := 0
		if k.whole {
			have, err := a.shelf(k, t)
			if err != nil {
				return nil, err
			}
			n = len(have)
		} else {
			have, err := a.all(k, t)
			if err != nil {
				return nil, err
			}
			n = len(have)
		}
		if n >= k.max {
			return nil, fmt.Errorf("%w: a tenant has at most %d %s: delete one first", model.ErrTooMuch, k.max, k.plural)
		}
	}
	if err := a.write(path, b); err != nil {
		return nil, fmt.Errorf("cannot save %s %q: %w", k.singular, b.ID, err)
	}
	if have, ok := a.small[a.dir(k, t)]; ok {
		have[b.ID] = b
	}
	return Board{ID: b.ID, Title: b.Title, Updated: b.Updated}, nil
}

func (a *API) write(path string, b *Board) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := vfs.MkdirAllDurable(a.o.FS, dir); err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := a.o.FS.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := a.o.FS.Rename(tmp, path); err != nil {
		return err
	}
	return a.o.FS.SyncDir(dir)
}

func (a *API) remove(k *kind, t tenant.ID, r *http.Request) (any, error) {
	id := r.PathValue("id")
	path, err := a.path(k, t, id)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.o.FS.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s %q: %w", k.singular, id, model.ErrNotFound)
		}
		return nil, fmt.Errorf("cannot delete %s: %w", k.singular, err)
	}
	if have, ok := a.small[a.dir(k, t)]; ok {
		delete(have, id)
	}
	return struct{}{}, a.o.FS.SyncDir(filepath.Dir(path))
}
