package lokiapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

const (
	defaultDetectedLines = 1000
	maxDetectedLines     = 5000
	maxDetectedFields    = 1000
	// maxDetectedDistinct bounds the values counted of one field.
	maxDetectedDistinct = 5000
)

// detectedLabels lists the stream labels with how many values each has.
func (a *api) detectedLabels(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	s, err := a.scan(r, t, time.Hour)
	if err != nil {
		return err
	}
	type label struct {
		Label       string `json:"label"`
		Cardinality int64  `json:"cardinality"`
	}
	out := []label{}
	err = a.guarded(r, s, "detected_labels "+r.Form.Get("query"), func(ctx context.Context) error {
		groups, err := a.streams(ctx, s, 0, predicate.CountOnly)
		if err != nil {
			return err
		}
		values := map[string]map[string]struct{}{}
		for _, g := range groups {
			for _, l := range g.labels {
				if values[l.Name] == nil {
					values[l.Name] = map[string]struct{}{}
				}
				values[l.Name][l.Value] = struct{}{}
			}
		}
		for name, vs := range values {
			out = append(out, label{name, int64(len(vs))})
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(out, func(x, y label) int { return strings.Compare(x.Label, y.Label) })
	return writeJSON(w, map[string]any{"detectedLabels": out})
}

// detectedField is what a sample of lines says of one field.
type detectedField struct {
	Label       string   `json:"label"`
	Type        string   `json:"type"`
	Cardinality int      `json:"cardinality"`
	Parsers     []string `json:"parsers"`
	JSONPath    []string `json:"jsonPath,omitempty"`

	values map[string]int
	stored bool // among the record's own labels: no parser is needed
}

// detectedQuery reads the parameters that both endpoints share.
func (a *api) detectedQuery(r *http.Request, t tenant.ID) (*logql.Selection, logql.Params, int, error) {
	var p logql.Params
	var err error
	if p.Start, p.End, err = a.timeRange(r, time.Hour); err != nil {
		return nil, p, 0, err
	}
	text := r.Form.Get("query")
	if text == "" {
		text = "{}"
	}
	sel, err := logql.ParseSelection(text)
	if err != nil {
		return nil, p, 0, err
	}
	p.Expr = text
	if p.Limit, err = intParam(r, "line_limit", defaultDetectedLines); err != nil {
		return nil, p, 0, err
	}
	p.Limit = min(max(p.Limit, 1), maxDetectedLines, a.Engine.Limits().MaxEntries)
	name := "limit"
	if r.Form.Get(name) == "" {
		name = "field_limit"
	}
	limit, err := intParam(r, name, maxDetectedFields)
	return sel, p, min(max(limit, 1), maxDetectedFields), err
}

// sampleFields reads the newest lines and tells their fields apart.
func (a *api) sampleFields(r *http.Request, t tenant.ID) (map[string]*detectedField, int, error) {
	sel, p, limit, err := a.detectedQuery(r, t)
	if err != nil {
		return nil, 0, err
	}
	res, err := a.Engine.Eval(r.Context(), t, sel, p)
	if err != nil {
		return nil, 0, err
	}
	d := detector{fields: map[string]*detectedField{}}
	for _, s := range res.Streams {
		for _, e := range s.Entries {
			d.entry(&s, &e)
		}
	}
	return d.fields, limit, nil
}

type detector struct {
	fields map[string]*detectedField
}

func (d *detector) entry(s *logql.Stream, e *logql.Entry) {
	for _, l := range e.Metadata {
		d.add(l.Name, l.Value, "", nil)
		if f := d.fields[l.Name]; f != nil {
			f.stored = true
		}
	}
	for _, l := range e.Parsed {
		if !strings.HasPrefix(l.Name, "__") {
			d.add(l.Name, l.Value, "", nil)
		}
	}
	parser := "logfmt"
	labels, paths := logql.DetectJSON(e.Line)
	if labels != nil {
		parser = "json"
	} else {
		labels = logql.DetectLogfmt(e.Line)
	}
	seen := map[string]bool{"": true} // the first of a name counts
	for i, l := range labels {
		if seen[l.Name] {
			continue
		}
		seen[l.Name] = true
		if v := s.Labels.Get(l.Name); v == l.Value {
			continue
		} else if v != "" {
			l.Name += "_extracted"
		}
		var path []string
		if paths != nil {
			path = paths[i]
		}
		d.add(l.Name, l.Value, parser, path)
	}
}

func (d *detector) add(name, value, parser string, path []string) {
	if value == "" {
		return
	}
	f := d.fields[name]
	if f == nil {
		if len(d.fields) >= maxLabelNames {
			return
		}
		f = &detectedField{Label: name, values: map[string]int{}}
		d.fields[name] = f
	}
	if f.JSONPath == nil {
		f.JSONPath = path
	}
	if parser != "" && !slices.Contains(f.Parsers, parser) {
		f.Parsers = append(f.Parsers, parser)
	}
	if _, ok := f.values[value]; ok || len(f.values) < maxDetectedDistinct {
		f.values[value]++
	}
	f.Type = mergeTypes(f.Type, typeOf(value))
}

// typeOf tells what a text reads as.
func typeOf(v string) string {
	if _, err := strconv.ParseInt(v, 10, 64); err == nil {
		return "int"
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return "float"
	}
	if v == "true" || v == "false" {
		return "boolean"
	}
	if _, err := logql.ParseDuration(v); err == nil {
		return "duration"
	}
	if logql.IsBytes(v) {
		return "bytes"
	}
	return "string"
}

func mergeTypes(a, b string) string {
	switch {
	case a == "" || a == b:
		return b
	case a == "int" && b == "float", a == "float" && b == "int":
		return "float"
	}
	return "string"
}

func (a *api) detectedFields(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	fields, limit, err := a.sampleFields(r, t)
	if err != nil {
		return err
	}
	out := make([]*detectedField, 0, len(fields))
	for _, f := range fields {
		f.Cardinality = len(f.values)
		if f.stored { // clients then filter without parsing lines
			f.Parsers, f.JSONPath = nil, nil
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y *detectedField) int { return strings.Compare(x.Label, y.Label) })
	return writeJSON(w, map[string]any{"fields": out[:min(limit, len(out))], "limit": limit})
}

func (a *api) detectedValues(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	name := r.PathValue("name")
	fields, limit, err := a.sampleFields(r, t)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	if f := fields[name]; f != nil {
		counts = f.values
	} else if err := a.storedValues(r, t, name, limit, counts); err != nil {
		return err
	}
	out := make([]string, 0, len(counts))
	for v := range counts {
		out = append(out, v)
	}
	slices.SortFunc(out, func(x, y string) int { return cmp.Or(cmp.Compare(counts[y], counts[x]), strings.Compare(x, y)) })
	return writeJSON(w, map[string]any{"values": out[:min(limit, len(out))], "limit": limit})
}

// storedValues asks the source for a field that the sample did not show.
func (a *api) storedValues(r *http.Request, t tenant.ID, name string, limit int, counts map[string]int) error {
	s, err := a.scan(r, t, time.Hour)
	if err != nil {
		return err
	}
	return a.guarded(r, s, "detected_field "+name, func(ctx context.Context) error {
		chain, _ := logql.Fields(name)
		for _, f := range chain {
			infos, err := a.Source.LogFields(ctx, &predicate.FieldQuery{Tenant: t, Range: s.tr, Filter: s.filter, Field: &f, Limit: limit, Stats: s.stats})
			if err != nil {
				return err
			}
			for _, i := range infos {
				if i.Value.Kind() != model.KindEmpty && i.Value.Text() != "" {
					counts[i.Value.Text()] += int(i.Count)
				}
			}
		}
		return nil
	})
}
