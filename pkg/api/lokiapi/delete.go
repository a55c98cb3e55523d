package lokiapi

import (
	"net/http"
	"strconv"
	"time"

	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

// delete takes, lists and takes back requests to delete records.
func (a *api) delete(w http.ResponseWriter, r *http.Request) {
	t, err := tenant.FromHTTP(r)
	if err != nil {
		writeText(w, http.StatusBadRequest, err.Error())
		return
	}
	if a.Deleter == nil {
		writeText(w, http.StatusNotImplemented, "deletion is not available on this server")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		writeText(w, http.StatusBadRequest, "cannot read the request's parameters: "+err.Error())
		return
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		err = a.createDeletion(w, r, t)
	case http.MethodGet:
		err = a.listDeletions(w, r, t)
	case http.MethodDelete:
		err = a.cancelDeletion(w, r, t)
	default:
		w.Header().Set("Allow", "GET, POST, PUT, DELETE")
		writeText(w, http.StatusMethodNotAllowed, "method "+r.Method+" is not allowed: use POST to delete, GET to list, DELETE to cancel")
		return
	}
	if err != nil {
		a.writeError(w, r, t, err)
	}
}

func (a *api) createDeletion(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	query := r.Form.Get("query")
	if query == "" {
		return invalid("parameter query is missing: expected a log query that selects what to delete")
	}
	sel, err := logql.ParseSelection(query)
	if err != nil {
		return err
	}
	if len(sel.Matchers) == 0 {
		return invalid("query %q selects every record: name at least one label in the braces", query)
	}
	filter, ok := logql.ExactFilter(sel)
	if !ok {
		return invalid("query %q cannot be used to delete: only selectors, line filters and label filters on stored labels can", query)
	}
	if r.Form.Get("start") == "" {
		return invalid("parameter start is missing: expected the time of the oldest record to delete")
	}
	start, end, err := a.timeRange(r, 0)
	if err != nil {
		return err
	}
	if s := r.Form.Get("max_interval"); s != "" {
		if _, err := parseDuration("max_interval", s); err != nil {
			return err
		}
	}
	// The end is inclusive.
	tr := modelRange(start, end.Add(1))
	if _, err := a.Deleter.Delete(r.Context(), t, Deletion{Query: query, Range: tr, Filter: filter}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// unixSeconds is a time as the delete API writes it.
func unixSeconds(ns int64) float64 { return float64(ns/int64(time.Millisecond)) / 1e3 }

func (a *api) listDeletions(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	list, err := a.Deleter.Deletions(r.Context(), t)
	if err != nil {
		return err
	}
	type item struct {
		ID      string  `json:"request_id"`
		Start   float64 `json:"start_time"`
		End     float64 `json:"end_time"`
		Query   string  `json:"query"`
		Status  string  `json:"status"`
		Created float64 `json:"created_at"`
	}
	out := []item{}
	for _, d := range list {
		out = append(out, item{d.ID, unixSeconds(d.Range.Start), unixSeconds(d.Range.End), d.Query, d.Status, unixSeconds(d.Created.UnixNano())})
	}
	return writeJSON(w, out)
}

func (a *api) cancelDeletion(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	id := r.Form.Get("request_id")
	if id == "" {
		return invalid("parameter request_id is missing")
	}
	force := false
	if s := r.Form.Get("force"); s != "" {
		var err error
		if force, err = strconv.ParseBool(s); err != nil {
			return invalid("parameter force=%q: expected true or false", s)
		}
	}
	if err := a.Deleter.CancelDeletion(r.Context(), t, id, force); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
