package lokiapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"braid/pkg/api/apierr"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func (a *api) writeError(w http.ResponseWriter, r *http.Request, t tenant.ID, err error) {
	status := apierr.Status(err)
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest // as Loki answers what exceeds a limit
	}
	apierr.SetRetryAfter(w.Header(), err)
	if status == http.StatusInternalServerError {
		a.Logger.ErrorContext(r.Context(), "loki api request failed", "tenant", t, "path", r.URL.Path, "error", err)
	}
	writeText(w, status, strings.TrimPrefix(err.Error(), model.ErrInvalid.Error()+": "))
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// jsonSafe renders a text for the inside of a JSON string.
func jsonSafe(s string) string {
	b, err := json.Marshal(s)
	if err != nil || len(b) < 2 {
		return ""
	}
	return string(b[1 : len(b)-1])
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(b) // the client went away: nobody is left to tell
	return nil
}

// envelope is the usual answer around data.
type envelope struct {
	Status string `json:"status"`
	Data   any    `json:"data"`
}

func success(data any) envelope { return envelope{"success", data} }
