package boardapi

import (
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
	// MaxBytes bounds one document; 0 means 2 MiB. MaxBoards bounds those of a
	// tenant; 0 means 1,000.
	MaxBytes  int64
	MaxBoards int
}

// API serves dashboards. Safe for concurrent use.
type API struct {
	o  Options
	mu sync.RWMutex // one writer at a time
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
	if o.MaxBoards == 0 {
		o.MaxBoards = 1000
	}
	return &API{o: o}
}

// Board is one dashboard. Document is the UI's own JSON, as text.
type Board struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Updated  int64  `json:"updatedMs"` // Unix ms
	Document string `json:"document,omitempty"`
}

// Register mounts the API.
func (a *API) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/braid/v1/dashboards", a.handle(a.list))
	mux.HandleFunc("GET /api/braid/v1/dashboards/{id}", a.handle(a.get))
	mux.HandleFunc("PUT /api/braid/v1/dashboards/{id}", a.handle(a.put))
	mux.HandleFunc("DELETE /api/braid/v1/dashboards/{id}", a.handle(a.remove))
}

func (a *API) handle(do func(t tenant.ID, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromHTTP(r)
		var answer any
		if err == nil {
			answer, err = do(t, r)
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

func (a *API) path(t tenant.ID, id string) (string, error) {
	if !validID.MatchString(id) {
		return "", fmt.Errorf("%w: dashboard id %q: use small letters, digits, - and _, at most 100", model.ErrInvalid, id)
	}
	return filepath.Join(a.o.Dir, string(t), id+".json"), nil
}

func (a *API) list(t tenant.ID, _ *http.Request) (any, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	boards, err := a.all(t)
	return map[string][]Board{"dashboards": boards}, err
}

// all lists a tenant's dashboards by title, without their documents. A file
// that cannot be read is left out: the others must stay reachable.
func (a *API) all(t tenant.ID) ([]Board, error) {
	boards := []Board{}
	entries, err := a.o.FS.ReadDir(filepath.Join(a.o.Dir, string(t)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list dashboards: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		b, err := a.read(filepath.Join(a.o.Dir, string(t), e.Name()))
		if err != nil {
			continue
		}
		b.Document = ""
		boards = append(boards, *b)
	}
	sort.Slice(boards, func(i, j int) bool {
		return boards[i].Title < boards[j].Title || boards[i].Title == boards[j].Title && boards[i].ID < boards[j].ID
	})
	return boards, nil
}

func (a *API) read(path string) (*Board, error) {
	data, err := a.o.FS.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("dashboard %q: %w", strings.TrimSuffix(filepath.Base(path), ".json"), model.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read dashboard: %w", err)
	}
	var b Board
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("cannot read dashboard %s: %w", path, err)
	}
	return &b, nil
}

func (a *API) get(t tenant.ID, r *http.Request) (any, error) {
	path, err := a.path(t, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.read(path)
}

func (a *API) put(t tenant.ID, r *http.Request) (any, error) {
	id := r.PathValue("id")
	path, err := a.path(t, id)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, a.o.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", model.ErrInvalid, err)
	}
	if int64(len(data)) > a.o.MaxBytes {
		return nil, fmt.Errorf("%w: a dashboard has at most %d bytes", model.ErrTooMuch, a.o.MaxBytes)
	}
	var b Board
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%w: body: %w", model.ErrInvalid, err)
	}
	if !json.Valid([]byte(b.Document)) {
		return nil, fmt.Errorf("%w: document is not JSON", model.ErrInvalid)
	}
	b.ID, b.Updated = id, a.o.Now().UnixMilli()
	a.mu.Lock()
	defer a.mu.Unlock()
	have, err := a.all(t)
	if err != nil {
		return nil, err
	}
	if _, err := a.o.FS.Stat(path); err != nil && len(have) >= a.o.MaxBoards {
		return nil, fmt.Errorf("%w: a tenant has at most %d dashboards: delete one first", model.ErrTooMuch, a.o.MaxBoards)
	}
	if err := a.write(path, &b); err != nil {
		return nil, fmt.Errorf("cannot save dashboard %q: %w", id, err)
	}
	b.Document = ""
	return b, nil
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

func (a *API) remove(t tenant.ID, r *http.Request) (any, error) {
	path, err := a.path(t, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.o.FS.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("dashboard %q: %w", r.PathValue("id"), model.ErrNotFound)
		}
		return nil, fmt.Errorf("cannot delete dashboard: %w", err)
	}
	return struct{}{}, a.o.FS.SyncDir(filepath.Dir(path))
}
