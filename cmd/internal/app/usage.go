package app

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"braid/pkg/tenant"
)

// usage says what lies in the data folder: bytes by part and tenant. A folder
// is walked at most once in usageAge, so that a page that refreshes costs nothing.
type usage struct {
	root string
	now  func() time.Time

	mu    sync.Mutex
	at    time.Time
	parts []usagePart
}

// usagePart is what one part keeps for one tenant; tenant is empty for what
// tenants share.
type usagePart struct {
	Part   string `json:"part"`
	Tenant string `json:"tenant,omitempty"`
	Bytes  int64  `json:"bytes"`
	Files  int    `json:"files"`
}

const usageAge = 20 * time.Second

// byTenant names the parts whose folders have one for each tenant.
var byTenant = map[string]bool{"metrics": true, "logs": true, "traces": true, "dashboards": true}

// ServeHTTP answers GET /api/braid/v1/storage. Who names a tenant is told of
// that tenant and of what is shared; who names none sees all.
func (u *usage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	t, err := tenant.FromHTTP(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
		return
	}
	parts, err := u.read(r.Context())
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "cannot read the data folder: " + err.Error()})
		return
	}
	shown := []usagePart{}
	for _, p := range parts {
		if r.Header.Get(tenant.Header) == "" || p.Tenant == "" || p.Tenant == string(t) {
			shown = append(shown, p)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"parts": shown})
}

func (u *usage) read(ctx context.Context) ([]usagePart, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.parts != nil && u.now().Sub(u.at) < usageAge {
		return u.parts, nil
	}
	entries, err := os.ReadDir(u.root)
	if err != nil {
		return nil, err
	}
	parts := []usagePart{}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(u.root, e.Name())
		if !byTenant[e.Name()] {
			parts = append(parts, measure(ctx, dir, usagePart{Part: e.Name()}))
			continue
		}
		tenants, _ := os.ReadDir(dir)
		for _, t := range tenants {
			if t.IsDir() {
				parts = append(parts, measure(ctx, filepath.Join(dir, t.Name()), usagePart{Part: e.Name(), Tenant: t.Name()}))
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sort.Slice(parts, func(i, j int) bool {
		return parts[i].Part < parts[j].Part || parts[i].Part == parts[j].Part && parts[i].Tenant < parts[j].Tenant
	})
	u.parts, u.at = parts, u.now()
	return parts, nil
}

// measure adds up a folder. Files that go while it looks are left out.
func measure(ctx context.Context, dir string, p usagePart) usagePart {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a folder that is gone holds nothing
		}
		if info, err := d.Info(); err == nil {
			p.Bytes += info.Size()
			p.Files++
		}
		return nil
	})
	return p
}
