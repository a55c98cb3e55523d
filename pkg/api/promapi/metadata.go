package promapi

import (
	"fmt"
	"net/http"
	"strconv"

	"braid/pkg/tenant"
)

type metaEntry struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// serveMetadata answers /api/v1/metadata from the store's metadata.
func (h *Handler) serveMetadata(id tenant.ID) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := numberParam(r, "limit")
		if err == nil {
			_, err = numberParam(r, "limit_per_metric")
		}
		if err != nil {
			respondError(w, http.StatusBadRequest, "bad_data", err.Error())
			return
		}
		out := map[string][]metaEntry{}
		if limit == 0 {
			respondData(w, out)
			return
		}
		found, err := h.opts.Source.Metadata(r.Context(), id, r.FormValue("metric"), max(limit, 0))
		if err != nil {
			respondError(w, http.StatusInternalServerError, "internal", err.Error())
			return
		}
		for name, m := range found {
			kind := m.Type
			if kind == "" {
				kind = "unknown"
			}
			out[name] = []metaEntry{{Type: kind, Help: m.Help, Unit: m.Unit}}
		}
		respondData(w, out)
	})
}

// numberParam reads an optional number; -1 means absent.
func numberParam(r *http.Request, name string) (int, error) {
	s := r.FormValue(name)
	if s == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%s must be a number", name)
	}
	return n, nil
}
