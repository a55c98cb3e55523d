package jaegerapi

import (
	"encoding/base64"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"braid/pkg/model"
	"braid/pkg/query/traceql"
)

// legacyTrace is a trace in the JSON that Jaeger's UI draws.
type legacyTrace struct {
	TraceID   string                   `json:"traceID"`
	Spans     []legacySpan             `json:"spans"`
	Processes map[string]legacyProcess `json:"processes"`
	Warnings  []string                 `json:"warnings"`
}

type legacySpan struct {
	TraceID       string            `json:"traceID"`
	SpanID        string            `json:"spanID"`
	Flags         uint32            `json:"flags,omitempty"`
	OperationName string            `json:"operationName"`
	References    []legacyReference `json:"references"`
	StartTime     int64             `json:"startTime"` // µs
	Duration      int64             `json:"duration"`  // µs
	Tags          []legacyTag       `json:"tags"`
	Logs          []legacyLog       `json:"logs"`
	ProcessID     string            `json:"processID"`
	Warnings      []string          `json:"warnings"`
}

type legacyReference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type legacyTag struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type legacyLog struct {
	Timestamp int64       `json:"timestamp"` // µs
	Fields    []legacyTag `json:"fields"`
}

type legacyProcess struct {
	ServiceName string      `json:"serviceName"`
	Tags        []legacyTag `json:"tags"`
}

// newLegacyTrace draws a trace. Unless raw, no two spans share an id, and they
// carry warnings about what is odd in their place.
func newLegacyTrace(rows []model.SpanRow, raw bool) legacyTrace {
	out := legacyTrace{Spans: make([]legacySpan, 0, len(rows)), Processes: map[string]legacyProcess{}}
	var tree *traceql.Tree
	if !raw {
		rows, tree = apart(rows)
	}
	p := processes{out: out.Processes, ids: map[*model.Resource]string{}, texts: map[string]string{}}
	for i := range rows {
		s := newLegacySpan(&rows[i])
		s.ProcessID = p.id(rows[i].Resource)
		if tree != nil {
			s.Warnings = warningsOf(&rows[i], tree, i)
		}
		out.TraceID = s.TraceID
		out.Spans = append(out.Spans, s)
	}
	return out
}

func warningsOf(r *model.SpanRow, t *traceql.Tree, i int) []string {
	var out []string
	f := t.Flags[i]
	if f&traceql.FlagOrphan != 0 {
		out = append(out, fmt.Sprintf("parent span %s has not been received", r.ParentID))
	}
	if f&traceql.FlagCycle != 0 {
		out = append(out, "the span is its own ancestor; it is shown as a root")
	}
	if f&traceql.FlagSkewed != 0 {
		out = append(out, "the span starts before its parent: the clocks of the services differ")
	}
	if r.End < r.Start {
		out = append(out, "the span ends before it starts")
	}
	return out
}

func newLegacySpan(r *model.SpanRow) legacySpan {
	s := legacySpan{TraceID: shortID(r.TraceID), SpanID: r.SpanID.String(), Flags: r.Flags & 0xff, OperationName: r.Name,
		References: []legacyReference{}, StartTime: r.Start / 1000, Duration: r.Duration() / 1000, Logs: []legacyLog{}}
	if !r.ParentID.IsZero() {
		s.References = append(s.References, legacyReference{"CHILD_OF", s.TraceID, r.ParentID.String()})
	}
	for i := range r.Links {
		s.References = append(s.References, legacyReference{"FOLLOWS_FROM", shortID(r.Links[i].TraceID), r.Links[i].SpanID.String()})
	}
	s.Tags = append(legacyTags(r.Attrs), spanTags(r)...)
	for i := range r.Events {
		e := &r.Events[i]
		fields := []legacyTag{}
		if e.Name != "" {
			if _, has := e.Attrs.Get("event"); !has {
				fields = append(fields, stringTag("event", e.Name))
			}
		}
		s.Logs = append(s.Logs, legacyLog{Timestamp: e.Time / 1000, Fields: append(fields, legacyTags(e.Attrs)...)})
	}
	return s
}

// shortID spells a 64-bit id with 16 digits, as this generation does.
func shortID(id model.TraceID) string {
	text := id.String()
	if strings.HasPrefix(text, "0000000000000000") {
		return text[16:]
	}
	return text
}

func stringTag(k, v string) legacyTag { return legacyTag{k, "string", v} }

// spanTags are what Jaeger shows as tags although OTLP has fields for it.
func spanTags(r *model.SpanRow) []legacyTag {
	var out []legacyTag
	if k := kindWord(r.Kind); k != "" {
		out = append(out, stringTag("span.kind", k))
	}
	if r.Status != model.StatusUnset {
		out = append(out, stringTag("otel.status_code", strings.ToUpper(r.Status.String())))
	}
	if r.Status == model.StatusError {
		if _, has := r.Attrs.Get("error"); !has {
			out = append(out, legacyTag{"error", "bool", true})
		}
	}
	if r.StatusMessage != "" {
		out = append(out, stringTag("otel.status_description", r.StatusMessage))
	}
	if r.Scope != nil {
		if r.Scope.Name != "" {
			out = append(out, stringTag("otel.scope.name", r.Scope.Name))
		}
		if r.Scope.Version != "" {
			out = append(out, stringTag("otel.scope.version", r.Scope.Version))
		}
		out = append(out, legacyTags(r.Scope.Attrs)...)
	}
	if r.TraceState != "" {
		out = append(out, stringTag("w3c.tracestate", r.TraceState))
	}
	return out
}

// legacyInt is text in JSON when a browser would round it, as Jaeger has it.
type legacyInt int64

// MarshalJSON writes a number, or text beyond 53 bits.
func (n legacyInt) MarshalJSON() ([]byte, error) {
	text := strconv.FormatInt(int64(n), 10)
	if exact := legacyInt(1)<<53 - 1; n > exact || n < -exact {
		text = strconv.Quote(text)
	}
	return []byte(text), nil
}

func legacyTags(attrs model.Attrs) []legacyTag {
	out := make([]legacyTag, 0, len(attrs))
	for _, a := range attrs {
		out = append(out, legacyTagOf(a))
	}
	return out
}

func legacyTagOf(a model.Attr) legacyTag {
	switch a.Value.Kind() {
	case model.KindBool:
		return legacyTag{a.Key, "bool", a.Value.AsBool()}
	case model.KindInt:
		return legacyTag{a.Key, "int64", legacyInt(a.Value.AsInt())}
	case model.KindDouble:
		return legacyTag{a.Key, "float64", a.Value} // NaN becomes text
	case model.KindBytes:
		return legacyTag{a.Key, "binary", base64.StdEncoding.EncodeToString([]byte(a.Value.Str()))}
	}
	return stringTag(a.Key, a.Value.Text())
}

// processes numbers the resources of a trace: equal ones once.
type processes struct {
	out   map[string]legacyProcess
	ids   map[*model.Resource]string
	texts map[string]string
}

func (p *processes) id(r *model.Resource) string {
	if id, ok := p.ids[r]; ok {
		return id
	}
	proc := legacyProcess{ServiceName: r.Service(), Tags: []legacyTag{}}
	if r != nil {
		for _, a := range r.Attrs {
			if a.Key != "service.name" {
				proc.Tags = append(proc.Tags, legacyTagOf(a))
			}
		}
	}
	sort.SliceStable(proc.Tags, func(i, j int) bool { return proc.Tags[i].Key < proc.Tags[j].Key })
	text := proc.ServiceName + fmt.Sprintf("%q", proc.Tags)
	id, ok := p.texts[text]
	if !ok {
		id = "p" + strconv.Itoa(len(p.out)+1)
		p.texts[text] = id
		p.out[id] = proc
	}
	p.ids[r] = id
	return id
}

// decodeBase64 undoes what legacyTagOf did to bytes.
func decodeBase64(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return s
	}
	return string(b)
}
