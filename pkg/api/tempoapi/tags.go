package tempoapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// tagScopes are Tempo's names of the scopes, in its order.
var tagScopes = []struct {
	name  string
	scope predicate.Scope
}{
	{"resource", predicate.ScopeResource}, {"span", predicate.ScopeRecord}, {"event", predicate.ScopeEvent},
	{"link", predicate.ScopeLink}, {"instrumentation", predicate.ScopeInstrumentation},
}

const scopeIntrinsic = "intrinsic"

type jsonScopeTags struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

// maxTags bounds a list of tags or values that names no limit.
const maxTags = 5000

// tagQuestion is what a request for tags or values asks.
type tagQuestion struct {
	tenant tenant.ID
	rng    model.TimeRange
	query  string
	scope  string
	limit  int
	stats  *model.QueryStats
}

func parseTagQuestion(q url.Values, t tenant.ID) (tq tagQuestion, err error) {
	tq = tagQuestion{tenant: t, query: q.Get("q"), scope: q.Get("scope"), stats: &model.QueryStats{}}
	if tq.rng, err = parseRange(q); err != nil {
		return tq, err
	}
	tq.limit, err = parseCount(q, "limit", maxTags)
	if tq.limit == 0 {
		tq.limit = maxTags
	}
	return tq, err
}

func (tq tagQuestion) fieldQuery() *predicate.FieldQuery {
	return &predicate.FieldQuery{Tenant: tq.tenant, Range: tq.rng, Filter: traceql.Filter(tq.query), Limit: tq.limit, Stats: tq.stats}
}

// tags lists tags by scope; scope "none" and "" mean every scope.
func (a *API) tags(ctx context.Context, tq tagQuestion) ([]jsonScopeTags, error) {
	all := tq.scope == "" || tq.scope == "none"
	known := all || tq.scope == scopeIntrinsic
	for _, s := range tagScopes {
		known = known || tq.scope == s.name
	}
	if !known {
		return nil, invalid("scope=%q: expected resource, span, event, link, instrumentation, intrinsic or none", tq.scope)
	}
	out := []jsonScopeTags{}
	if tq.scope != scopeIntrinsic {
		infos, err := a.opts.Source.SpanFields(ctx, tq.fieldQuery())
		if err != nil {
			return nil, err
		}
		for _, s := range tagScopes {
			if !all && tq.scope != s.name {
				continue
			}
			tags := []string{}
			for _, i := range infos {
				if i.Field.Scope == s.scope && !slices.Contains(tags, i.Field.Name) {
					tags = append(tags, i.Field.Name)
				}
			}
			sort.Strings(tags)
			if len(tags) > 0 {
				out = append(out, jsonScopeTags{s.name, tags})
			}
		}
	}
	if all || tq.scope == scopeIntrinsic {
		out = append(out, jsonScopeTags{scopeIntrinsic, traceql.IntrinsicNames})
	}
	return out, nil
}

func (a *API) tagsV2(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	tq, err := parseTagQuestion(r.URL.Query(), t)
	if err != nil {
		return err
	}
	scopes, err := a.tags(r.Context(), tq)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"scopes": scopes, "metrics": newMetadataMetrics(tq.stats)})
}

func (a *API) tagsV1(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	tq, err := parseTagQuestion(r.URL.Query(), t)
	if err != nil {
		return err
	}
	names, err := a.tagNames(r.Context(), tq)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"tagNames": names, "metrics": newMetadataMetrics(tq.stats)})
}

func (a *API) tagNames(ctx context.Context, tq tagQuestion) ([]string, error) {
	scopes, err := a.tags(ctx, tq)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, s := range scopes {
		if s.Name != scopeIntrinsic || tq.scope == scopeIntrinsic {
			names = append(names, s.Tags...)
		}
	}
	sort.Strings(names)
	return slices.Compact(names), nil
}

// tagName takes the tag out of the rest of a path: "{tag}/values". Grafana
// encodes a tag twice, so it is decoded until it stays.
func tagName(rest string) (string, error) {
	tag, ok := strings.CutSuffix(rest, "/values")
	if !ok || tag == "" {
		return "", invalid("expected a path that ends in /<tag>/values")
	}
	for range 3 {
		next, err := url.PathUnescape(tag)
		if err != nil || next == tag {
			break
		}
		tag = next
	}
	return tag, nil
}

// parseTag reads a tag as TraceQL spells it; what is not TraceQL is the name of
// an attribute at any level.
func parseTag(tag string) traceql.Field {
	f, err := traceql.ParseField(tag)
	if err != nil {
		return traceql.Field{Scope: traceql.ScopeNone, Name: strings.TrimPrefix(tag, ".")}
	}
	return f
}

type jsonTagValue struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (a *API) tagValuesV2(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	tq, err := parseTagQuestion(r.URL.Query(), t)
	if err != nil {
		return err
	}
	tag, err := tagName(r.PathValue("rest"))
	if err != nil {
		return err
	}
	values, err := a.tagValues(r.Context(), tq, parseTag(tag))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"tagValues": values, "metrics": newMetadataMetrics(tq.stats)})
}

func (a *API) tagValuesV1(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	tq, err := parseTagQuestion(r.URL.Query(), t)
	if err != nil {
		return err
	}
	tag, err := tagName(r.PathValue("rest"))
	if err != nil {
		return err
	}
	texts, err := a.tagTexts(r.Context(), tq, tag)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"tagValues": texts, "metrics": newMetadataMetrics(tq.stats)})
}

// tagTexts is the older list: the tag's scope is not given.
func (a *API) tagTexts(ctx context.Context, tq tagQuestion, tag string) ([]string, error) {
	f, err := traceql.ParseField(tag)
	if err != nil || f.Scope != traceql.ScopeIntrinsic {
		f = traceql.Field{Scope: traceql.ScopeNone, Name: strings.TrimPrefix(tag, ".")}
	}
	values, err := a.tagValues(ctx, tq, f)
	if err != nil {
		return nil, err
	}
	texts := []string{}
	for _, v := range values {
		texts = append(texts, v.Value)
	}
	sort.Strings(texts)
	return slices.Compact(texts), nil
}

var keywordValues = map[string][]string{
	"status": {"error", "ok", "unset"},
	"kind":   {"client", "consumer", "internal", "producer", "server", "unspecified"},
}

var valueTypes = map[model.ValueKind]string{model.KindString: "string", model.KindInt: "int", model.KindDouble: "float", model.KindBool: "bool"}

// tagValues lists the values of a field, most frequent first.
func (a *API) tagValues(ctx context.Context, tq tagQuestion, f traceql.Field) ([]jsonTagValue, error) {
	out := []jsonTagValue{}
	if f.Scope == traceql.ScopeIntrinsic {
		for _, k := range keywordValues[f.Name] {
			out = append(out, jsonTagValue{"keyword", k})
		}
		if len(out) > 0 || !listed[f.Name] {
			return out, nil
		}
	}
	pf, ok := f.Predicate()
	if !ok {
		return out, nil
	}
	q := tq.fieldQuery()
	q.Field = &pf
	infos, err := a.opts.Source.SpanFields(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, i := range infos {
		if i.Value.Kind() == model.KindArray {
			for _, e := range i.Value.Elements() {
				out = append(out, jsonTagValue{typeName(e), e.Text()})
			}
			continue
		}
		out = append(out, jsonTagValue{typeName(i.Value), i.Value.Text()})
	}
	return out, nil
}

// listed are the intrinsics whose values make a list worth offering.
var listed = map[string]bool{"name": true, "statusMessage": true, "rootName": true, "rootServiceName": true,
	"event:name": true, "instrumentation:name": true, "instrumentation:version": true}

func typeName(v model.Value) string {
	if t := valueTypes[v.Kind()]; t != "" {
		return t
	}
	return "string"
}
