package logql

import (
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// Names of labels that the language itself makes.
const (
	labelError   = "__error__"
	labelDetails = "__error_details__"
	labelLevel   = "detected_level"
	labelService = "service_name"
	// unknownService is what a record without service.name belongs to.
	unknownService = "unknown_service"
)

// labelRef is a label's name, resolved: where to look for it in a record.
type labelRef struct {
	name  string // as written
	under string // Prometheus spelling: its name among parsed labels
	// chain lists the fields that may hold it; the first that a record has wins.
	chain []predicate.Field
	// def is the value when a record has none of them.
	def string
}

// intrinsicLabels are the facts of a record that have a label's name. A
// record's attribute of that name goes first, but for the ids, whose one
// spelling is the record's own.
var intrinsicLabels = map[string]struct {
	field predicate.Field
	first bool
}{
	"level":           {predicate.Intrinsic(predicate.Level), false},
	"severity":        {predicate.Intrinsic(predicate.SeverityText), false},
	"severity_text":   {predicate.Intrinsic(predicate.SeverityText), false},
	"severity_number": {predicate.Intrinsic(predicate.Severity), false},
	"event_name":      {predicate.Intrinsic(predicate.EventName), false},
	"flags":           {predicate.Intrinsic(predicate.Flags), false},
	"scope_name":      {predicate.Field{Scope: predicate.ScopeInstrumentation, Name: "name"}, false},
	"scope_version":   {predicate.Field{Scope: predicate.ScopeInstrumentation, Name: "version"}, false},
	"trace_id":        {predicate.Intrinsic(predicate.TraceID), true},
	"span_id":         {predicate.Intrinsic(predicate.SpanID), true},
}

// refOf resolves a label's name.
func refOf(name string) labelRef {
	r := labelRef{name: name, under: predicate.Underscore(name)}
	if name == labelLevel {
		r.chain = []predicate.Field{predicate.Intrinsic(predicate.Level)}
		return r
	}
	attr := predicate.Field{Scope: predicate.ScopeAny, Name: name, Underscored: r.under == name}
	in, ok := intrinsicLabels[name]
	switch {
	case !ok:
		r.chain = []predicate.Field{attr}
	case in.first:
		r.chain = []predicate.Field{in.field, attr}
	default:
		r.chain = []predicate.Field{attr, in.field}
	}
	if name == labelService || name == "service.name" {
		r.def = unknownService
	}
	return r
}

// Fields returns where a label of that name is looked for, first match wins,
// and the value of records that have none ("" means that they lack the label).
func Fields(name string) (chain []predicate.Field, def string) {
	r := refOf(name)
	return r.chain, r.def
}

func refsOf(names []string) []labelRef {
	out := make([]labelRef, len(names))
	for i, n := range names {
		out[i] = refOf(n)
	}
	return out
}

// lookup finds the label's value in a record as received.
func (r *labelRef) lookup(row *model.LogRow) (v model.Value, ok bool) {
	for i := range r.chain {
		f := &r.chain[i]
		switch f.Scope {
		case predicate.ScopeIntrinsic:
			v, ok = predicate.LogIntrinsic(&row.LogRecord, f.Name)
		case predicate.ScopeInstrumentation:
			v, ok = scopeField(row.Scope, f.Name)
		default:
			v, ok = anyAttr(row, f.Name, f.Underscored)
		}
		if ok {
			return v, true
		}
	}
	return model.String(r.def), r.def != ""
}

func scopeField(s *model.Scope, name string) (model.Value, bool) {
	switch {
	case s == nil:
		return model.Value{}, false
	case name == "name" && s.Name != "":
		return model.String(s.Name), true
	case name == "version" && s.Version != "":
		return model.String(s.Version), true
	}
	return s.Attrs.Get(name)
}

// anyAttr is predicate.ScopeAny: record, then scope, then resource; the exact
// spelling at any level before the underscored one.
func anyAttr(row *model.LogRow, name string, underscored bool) (model.Value, bool) {
	if v, ok := row.Attrs.Get(name); ok {
		return v, true
	}
	if row.Scope != nil {
		if v, ok := row.Scope.Attrs.Get(name); ok {
			return v, true
		}
	}
	if row.Resource != nil {
		if v, ok := row.Resource.Attrs.Get(name); ok {
			return v, true
		}
	}
	if !underscored {
		return model.Value{}, false
	}
	if v, ok := underscoredAttr(row.Attrs, name); ok {
		return v, true
	}
	if row.Scope != nil {
		if v, ok := underscoredAttr(row.Scope.Attrs, name); ok {
			return v, true
		}
	}
	if row.Resource != nil {
		return underscoredAttr(row.Resource.Attrs, name)
	}
	return model.Value{}, false
}

func underscoredAttr(attrs model.Attrs, name string) (model.Value, bool) {
	for i := range attrs {
		if underscoresTo(attrs[i].Key, name) {
			return attrs[i].Value, true
		}
	}
	return model.Value{}, false
}

// underscoresTo is predicate.Underscore(key) == name without making the string.
func underscoresTo(key, name string) bool {
	if len(key) != len(name) {
		return false
	}
	for i := 0; i < len(key); i++ {
		c := key[i]
		if !isNameByte(c) {
			c = '_'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// sanitize makes a label name out of a key found in a line: characters that
// cannot stand in a name become '_', and a leading digit gets one before it.
func sanitize(dst []byte, key string) []byte {
	key = strings.TrimSpace(key)
	if len(dst) == 0 && key != "" && isDigit(key[0]) {
		dst = append(dst, '_')
	}
	for i := 0; i < len(key); i++ {
		if c := key[i]; isNameByte(c) {
			dst = append(dst, c)
		} else if c < 0x80 || c >= 0xc0 { // one '_' for a whole character
			dst = append(dst, '_')
		}
	}
	return dst
}
