package searchapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"braid/pkg/api/apierr"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

// Options of the API. Explorer is needed.
type Options struct {
	Explorer *logql.Explorer
	Logger   *slog.Logger
	Now      func() time.Time
}

// api is immutable.
type api struct{ Options }

// maxForm bounds the body of a request.
const maxForm = 1 << 20

// New returns the handler of every path below /api/braid/v1/logs/.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &api{o}
	mux := http.NewServeMux()
	for path, h := range map[string]handlerFunc{
		"search":    a.search,
		"histogram": a.histogram,
		"fields":    a.fields,
		"facets":    a.facets,
		"stats":     a.stats,
		"context":   a.around,
	} {
		mux.Handle("/api/braid/v1/logs/"+path, a.wrap(h))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusNotFound, message{"no log API at " + r.URL.Path + "; there are search, histogram, fields, facets, stats and context"})
	})
	return mux
}

// handlerFunc answers a request whose tenant is known and whose form is parsed.
type handlerFunc func(ctx context.Context, t tenant.ID, p params) (any, error)

type message struct {
	Message string `json:"message"`
}

func (a *api) wrap(h handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, POST")
			writeJSON(w, http.StatusMethodNotAllowed, message{"method " + r.Method + " is not allowed: use GET or POST"})
			return
		}
		t, err := tenant.FromHTTP(r)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, message{err.Error()})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			writeJSON(w, http.StatusBadRequest, message{"cannot read the request's parameters: " + err.Error()})
			return
		}
		answer, err := h(r.Context(), t, params{r.Form, a.Now()})
		if err != nil {
			a.writeError(w, r, t, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

func (a *api) writeError(w http.ResponseWriter, r *http.Request, t tenant.ID, err error) {
	status := apierr.Status(err)
	apierr.SetRetryAfter(w.Header(), err)
	if status == http.StatusInternalServerError {
		a.Logger.ErrorContext(r.Context(), "log search request failed", "tenant", t, "path", r.URL.Path, "error", err)
	}
	writeJSON(w, status, message{strings.TrimPrefix(err.Error(), model.ErrInvalid.Error()+": ")})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"message":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client went away: nobody is left to tell
}
