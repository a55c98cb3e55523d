package alertapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"braid/pkg/alert/evidence"
	"braid/pkg/alert/notify"
	"braid/pkg/alert/rule"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Options of the API. Store, Changed, History and States are required.
type Options struct {
	Store *rule.Store
	// Changed loads a tenant's rules again. An error means that they cannot be
	// loaded; the old ones go on.
	Changed func(ctx context.Context, t tenant.ID) error
	// LogQL checks an expression that came by Loki's paths.
	LogQL   func(expr string) error
	History *evidence.Keeper
	// States returns a tenant's rules.
	States func(t tenant.ID) []rule.State
	// Pager keeps the Alertmanager configurations that came by the API. Optional.
	Pager Pager
	// Try answers for rules that are not there yet. Optional.
	Try    *Trier
	Logger *slog.Logger
}

// Pager keeps an Alertmanager configuration for each tenant.
type Pager interface {
	Settings(t tenant.ID) (notify.Settings, error)
	Set(t tenant.ID, s notify.Settings) error
	Unset(t tenant.ID) error
}

// API answers requests. Safe for concurrent use.
type API struct{ o Options }

// New makes an API.
func New(o Options) *API {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.LogQL == nil {
		o.LogQL = func(string) error { return nil }
	}
	return &API{o}
}

// RulePrefixes are the paths under which rules are kept, with their dialect.
var RulePrefixes = map[string]rule.Dialect{
	"/config/v1/rules":            rule.Metrics,
	"/prometheus/config/v1/rules": rule.Metrics,
	"/loki/api/v1/rules":          rule.Logs,
	"/api/prom/rules":             rule.Logs,
}

// Register mounts everything on a mux.
func (a *API) Register(mux *http.ServeMux) {
	for prefix, d := range RulePrefixes {
		mux.HandleFunc("GET "+prefix, a.tenant(a.list(d)))
		mux.HandleFunc("GET "+prefix+"/{namespace}", a.tenant(a.list(d)))
		mux.HandleFunc("GET "+prefix+"/{namespace}/{group}", a.tenant(a.get(d)))
		mux.HandleFunc("POST "+prefix+"/{namespace}", a.tenant(a.set(d)))
		mux.HandleFunc("DELETE "+prefix+"/{namespace}", a.tenant(a.remove(d)))
		mux.HandleFunc("DELETE "+prefix+"/{namespace}/{group}", a.tenant(a.remove(d)))
	}
	if a.o.Pager != nil {
		mux.HandleFunc("GET "+SettingsPath, a.tenant(a.settings))
		mux.HandleFunc("POST "+SettingsPath, a.tenant(a.setSettings))
		mux.HandleFunc("DELETE "+SettingsPath, a.tenant(a.unsetSettings))
	}
	if a.o.Try != nil {
		mux.HandleFunc("POST /api/braid/v1/alerts/try", a.tenant(a.try))
	}
	mux.HandleFunc("GET /api/braid/v1/alerts/{fingerprint}/evidence", a.tenant(a.evidence))
	mux.HandleFunc("GET /api/braid/v1/alerts/request", a.tenant(a.request))
	mux.HandleFunc("GET /api/braid/v1/alerts/history", a.tenant(a.history))
	mux.HandleFunc("GET /api/braid/v1/alerts/rules", a.tenant(a.states))
}

type handler func(w http.ResponseWriter, r *http.Request, t tenant.ID) error

// tenant reads the tenant at the edge and answers errors.
func (a *API) tenant(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromHTTP(r)
		if err == nil {
			err = h(w, r, t)
		}
		if err == nil {
			return
		}
		status, kind := http.StatusInternalServerError, "internal"
		var over *model.OverloadError
		switch {
		case errors.Is(err, model.ErrInvalid), errors.Is(err, tenant.ErrInvalid):
			status, kind = http.StatusBadRequest, "bad_data"
		case errors.Is(err, model.ErrNotFound):
			status, kind = http.StatusNotFound, "not_found"
		case errors.Is(err, notify.ErrForbidden):
			status, kind = http.StatusForbidden, "forbidden"
		case errors.As(err, &over):
			w.Header().Set("Retry-After", strconv.Itoa(int(over.RetryAfter.Seconds()+1)))
			status, kind = http.StatusTooManyRequests, "too_many_requests"
		default:
			a.o.Logger.Error("alerting API failed", "method", r.Method, "path", r.URL.Path, "tenant", t, "err", err)
		}
		// message is what Grafana shows of rulers' errors.
		writeJSON(w, status, map[string]string{"status": "error", "errorType": kind, "error": err.Error(), "message": err.Error()})
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// evidenceAnswer is an episode with its pack; evidence is null while it is
// gathered, or when there is none.
type evidenceAnswer struct {
	Alert    evidence.Episode `json:"alert"`
	State    string           `json:"state"`
	Evidence *evidence.Pack   `json:"evidence"`
}

func (a *API) evidence(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	fired, err := timeParam(r, "fired")
	if err != nil {
		return err
	}
	e, p, err := a.o.History.Evidence(t, r.PathValue("fingerprint"), fired)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, evidenceAnswer{e, e.State(), p})
	return nil
}

// requestAnswer is a request that evidence points at, with the alert that keeps
// it.
type requestAnswer struct {
	Alert   evidence.Episode  `json:"alert"`
	State   string            `json:"state"`
	Request *evidence.Request `json:"request"`
}

func (a *API) request(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	e, q, err := a.o.History.Request(t, r.FormValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, requestAnswer{e, e.State(), q})
	return nil
}

// historyRow is an episode with its state in words.
type historyRow struct {
	evidence.Episode
	State string `json:"state"`
}

func (a *API) history(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	q := evidence.HistoryQuery{Fingerprint: r.FormValue("fingerprint"), Name: r.FormValue("name"), State: r.FormValue("state")}
	var err error
	if q.From, err = timeParam(r, "start"); err != nil {
		return err
	}
	if q.To, err = timeParam(r, "end"); err != nil {
		return err
	}
	if text := r.FormValue("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > 10_000 {
			return invalid("limit %q: give a number from 1 to 10000", text)
		}
	}
	rows := []historyRow{}
	for _, e := range a.o.History.History(t, q) {
		rows = append(rows, historyRow{e, e.State()})
	}
	writeJSON(w, http.StatusOK, map[string]any{"alerts": rows})
	return nil
}

// timeParam reads RFC 3339 or Unix seconds.
func timeParam(r *http.Request, name string) (time.Time, error) {
	text := r.FormValue(name)
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || s < 0 || s > 1e11 {
		return time.Time{}, invalid("%s %q: give a time as 2006-01-02T15:04:05Z or in Unix seconds", name, text)
	}
	return time.UnixMilli(int64(s * 1000)), nil
}

// ruleState is one rule as JSON.
type ruleState struct {
	Group             string            `json:"group"`
	File              string            `json:"file"`
	Name              string            `json:"name"`
	Type              string            `json:"type"`
	Health            string            `json:"health"`
	Labels            map[string]string `json:"labels,omitempty"`
	Expr              string            `json:"expr"`
	LastError         string            `json:"lastError,omitempty"`
	LastEvaluation    time.Time         `json:"lastEvaluation"`
	EvaluationSeconds float64           `json:"evaluationSeconds"`
	MatchesNothing    []string          `json:"matchesNothing,omitempty"`
}

func (a *API) states(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	blind, _ := strconv.ParseBool(r.FormValue("matches_nothing"))
	out := []ruleState{}
	for _, s := range a.o.States(t) {
		if !blind || len(s.MatchesNothing) > 0 {
			out = append(out, ruleState(s))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"rules": out})
	return nil
}
