package model

import (
	"slices"
	"sort"
	"strings"
)

// The kinds of correlation key that Braid knows without configuration.
const (
	KeyTrace   = "trace"
	KeyRequest = "request"
	KeySession = "session"
	KeyUser    = "user"
)

// CorrelationKey says that a record belongs to an id of some kind. The ID is
// canonical (see Canonical): equal ids compare equal whatever they were
// spelled like.
type CorrelationKey struct {
	Kind string
	ID   string
}

// DefaultKeyAttributes lists, by kind, the attribute names that carry
// correlation ids without any configuration. The kind "trace" is not listed:
// it comes from the trace id fields, and from the names in traceAttributes.
var DefaultKeyAttributes = map[string][]string{
	KeyRequest: {
		"correlation.id", "correlation_id", "correlationId", "correlationID", "x-correlation-id", "x_correlation_id",
		"request.id", "request_id", "requestId", "requestID", "x-request-id", "x_request_id", "guid:x-request-id",
		"http.request.header.x-request-id", "http.request.header.x_request_id",
		"http.request.header.x-correlation-id", "http.response.header.x-request-id",
		"http.request_id", "http.request.id", "flow_id", "x-amzn-request-id", "aws.request_id",
	},
	KeySession: {"session.id", "session_id", "sessionId"},
	KeyUser:    {"user.id", "enduser.id", "user_id", "userId"},
}

// traceAttributes carry a trace id in logs whose sender did not fill the trace
// id field, and in exemplar labels.
var traceAttributes = []string{
	"trace_id", "traceid", "traceId", "traceID", "trace.id", "dd.trace_id", "x-amzn-trace-id",
	"logging.googleapis.com/trace", "traceparent",
}

// KeySpec tells which attribute names carry which kind of correlation id.
// It is immutable: a change of configuration makes a new one.
type KeySpec struct {
	byName map[string]string
	kinds  []string
}

// NewKeySpec builds a spec from kind -> attribute names. A nil map means the
// defaults. The kind "trace" is always there.
func NewKeySpec(attributes map[string][]string) *KeySpec {
	if attributes == nil {
		attributes = DefaultKeyAttributes
	}
	s := &KeySpec{byName: map[string]string{}, kinds: []string{KeyTrace}}
	for _, n := range traceAttributes {
		s.byName[n] = KeyTrace
	}
	for _, kind := range sortedKeys(attributes) {
		if kind != KeyTrace {
			s.kinds = append(s.kinds, kind)
		}
		for _, n := range attributes[kind] {
			s.byName[n] = kind
		}
	}
	return s
}

func sortedKeys(m map[string][]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// Kind returns the kind of id that an attribute carries. Stores ask once per
// attribute name and remember, not once per record.
func (s *KeySpec) Kind(attribute string) (kind string, ok bool) {
	kind, ok = s.byName[attribute]
	return kind, ok
}

// Attributes returns the names of all attributes that carry ids, sorted: what
// a query must project to see every id of a row.
func (s *KeySpec) Attributes() []string {
	out := make([]string, 0, len(s.byName))
	for n := range s.byName {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Kinds returns the kinds, "trace" first, the rest sorted.
func (s *KeySpec) Kinds() []string { return slices.Clone(s.kinds) }

// Canonical returns the one spelling of an id of a kind, "" when the text
// cannot be an id. Trace ids become 32 hex digits. Other ids are trimmed, and
// a UUID in any case or with braces becomes lower case with dashes.
func Canonical(kind, text string) string {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxIDLength {
		return ""
	}
	if kind == KeyTrace {
		id, ok := ParseTraceID(text)
		if !ok {
			return ""
		}
		return id.String()
	}
	if u := strings.Trim(text, "{}"); isUUID(u) {
		return strings.ToLower(u)
	}
	return text
}

// maxIDLength keeps a stack trace in a field called request_id out of the id
// index: no id scheme in use comes near it.
const maxIDLength = 256

func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
			continue
		}
		return false
	}
	return true
}

// EachID calls yield with every id text that an attribute value carries: the
// value itself, or each element of an array (HTTP header attributes are arrays
// of strings). It stops when yield returns false.
func EachID(v Value, yield func(string) bool) {
	if v.Kind() == KindArray {
		for _, e := range v.Elements() {
			if !yield(e.Text()) {
				return
			}
		}
		return
	}
	if t := v.Text(); t != "" {
		yield(t)
	}
}
