package traceql

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"braid/pkg/predicate"
)

// AttrScope says which attributes a Field names.
type AttrScope uint8

// The scopes of attributes. ScopeIntrinsic marks an intrinsic.
const (
	ScopeNone AttrScope = iota
	ScopeSpan
	ScopeResource
	ScopeEvent
	ScopeLink
	ScopeInstrumentation
	ScopeIntrinsic
)

var scopePrefix = [...]string{".", "span.", "resource.", "event.", "link.", "instrumentation.", ""}

// Field is an attribute or an intrinsic. An intrinsic's Name is its canonical
// spelling: see intrinsicNames.
type Field struct {
	Scope AttrScope
	Name  string
	// Parent asks for the attribute of the parent span.
	Parent bool
}

var attributeScopes = map[string]Field{
	"span": {Scope: ScopeSpan}, "resource": {Scope: ScopeResource}, "event": {Scope: ScopeEvent},
	"link": {Scope: ScopeLink}, "instrumentation": {Scope: ScopeInstrumentation}, "parent": {Parent: true},
}

func intrinsic(name string) Field { return Field{Scope: ScopeIntrinsic, Name: name} }

// The canonical names of the intrinsics that the code asks about.
const (
	inName              = "name"
	inDuration          = "duration"
	inStatus            = "status"
	inStatusMessage     = "statusMessage"
	inKind              = "kind"
	inTraceDuration     = "traceDuration"
	inRootName          = "rootName"
	inRootService       = "rootServiceName"
	inNestedParent      = "nestedSetParent"
	inNestedLeft        = "nestedSetLeft"
	inNestedRight       = "nestedSetRight"
	inParent            = "parent"
	inChildCount        = "span:childCount"
	inTraceID           = "trace:id"
	inSpanID            = "span:id"
	inParentID          = "span:parentID"
	inEventName         = "event:name"
	inEventSince        = "event:timeSinceStart"
	inLinkTrace         = "link:traceID"
	inLinkSpan          = "link:spanID"
	inInstrumentation   = "instrumentation:name"
	inInstrumentVersion = "instrumentation:version"
)

// intrinsicNames maps every spelling to the one intrinsic.
var intrinsicNames = map[string]Field{
	"name": intrinsic(inName), "span:name": intrinsic(inName),
	"duration": intrinsic(inDuration), "span:duration": intrinsic(inDuration),
	"status": intrinsic(inStatus), "span:status": intrinsic(inStatus),
	"statusMessage": intrinsic(inStatusMessage), "span:statusMessage": intrinsic(inStatusMessage),
	"kind": intrinsic(inKind), "span:kind": intrinsic(inKind),
	"traceDuration": intrinsic(inTraceDuration), "trace:duration": intrinsic(inTraceDuration),
	"rootName": intrinsic(inRootName), "trace:rootName": intrinsic(inRootName),
	"rootServiceName": intrinsic(inRootService), "trace:rootService": intrinsic(inRootService), "trace:rootServiceName": intrinsic(inRootService),
	"nestedSetParent": intrinsic(inNestedParent), "nestedSetLeft": intrinsic(inNestedLeft), "nestedSetRight": intrinsic(inNestedRight),
	"span:nestedSetParent": intrinsic(inNestedParent), "span:nestedSetLeft": intrinsic(inNestedLeft), "span:nestedSetRight": intrinsic(inNestedRight),
	"parent": intrinsic(inParent), "childCount": intrinsic(inChildCount), "span:childCount": intrinsic(inChildCount),
	"trace:id": intrinsic(inTraceID), "span:id": intrinsic(inSpanID), "span:parentID": intrinsic(inParentID),
	"event:name": intrinsic(inEventName), "event:timeSinceStart": intrinsic(inEventSince),
	"link:traceID": intrinsic(inLinkTrace), "link:spanID": intrinsic(inLinkSpan),
	"instrumentation:name": intrinsic(inInstrumentation), "instrumentation:version": intrinsic(inInstrumentVersion),
}

// scopedIntrinsics is the way out that an error names.
const scopedIntrinsics = "span:{name, duration, status, statusMessage, kind, id, parentID, childCount}, trace:{id, duration, rootName, rootService}, event:{name, timeSinceStart}, link:{traceID, spanID}, instrumentation:{name, version}"

// IntrinsicNames are the intrinsics that a client's completion offers: those
// that Tempo lists.
var IntrinsicNames = []string{
	"duration", "event:name", "event:timeSinceStart", "instrumentation:name", "instrumentation:version", "kind", "name",
	"rootName", "rootServiceName", "span:duration", "span:kind", "span:name", "span:status", "span:statusMessage",
	"status", "statusMessage", "trace:duration", "trace:rootName", "trace:rootService", "traceDuration",
}

// String spells the field so that the parser reads it back.
func (f Field) String() string {
	if f.Scope == ScopeIntrinsic {
		return f.Name
	}
	p := scopePrefix[f.Scope]
	if f.Parent {
		if p == "." {
			return "parent." + quoteParentName(f.Name)
		}
		p = "parent." + p
	}
	return p + quoteName(f.Name)
}

// Key is the name under which a result shows the field: without its scope.
func (f Field) Key() string {
	if f.Parent {
		return f.String()
	}
	return f.Name
}

// quoteName quotes a name that could not stand bare.
func quoteName(name string) string {
	bare := name != "" && utf8.ValidString(name)
	digits := bare
	for _, r := range name {
		bare = bare && isAttributeRune(r)
		digits = digits && r >= '0' && r <= '9'
	}
	if bare && !digits {
		return name
	}
	return strconv.Quote(name)
}

// quoteParentName also quotes a name whose first word would read as a scope.
func quoteParentName(name string) string {
	if strings.HasPrefix(name, "span.") || strings.HasPrefix(name, "resource.") {
		return strconv.Quote(name)
	}
	return quoteName(name)
}

// ParseField reads one attribute or intrinsic, as the tag APIs pass it.
func ParseField(text string) (Field, error) {
	toks, err := lex(text)
	if err != nil {
		return Field{}, err
	}
	p := &parser{src: text, toks: toks}
	f, err := p.field()
	if err != nil {
		return Field{}, err
	}
	if t := p.peek(); t.kind != tokEOF {
		return Field{}, p.expected("end of the attribute")
	}
	return f, nil
}

var predicateScopes = [...]predicate.Scope{predicate.ScopeAny, predicate.ScopeRecord, predicate.ScopeResource,
	predicate.ScopeEvent, predicate.ScopeLink, predicate.ScopeInstrumentation}

var predicateIntrinsics = map[string]predicate.Field{
	inName:              predicate.Intrinsic(predicate.Name),
	inDuration:          predicate.Intrinsic(predicate.Duration),
	inStatus:            predicate.Intrinsic(predicate.Status),
	inStatusMessage:     predicate.Intrinsic(predicate.StatusMessage),
	inKind:              predicate.Intrinsic(predicate.Kind),
	inTraceID:           predicate.Intrinsic(predicate.TraceID),
	inSpanID:            predicate.Intrinsic(predicate.SpanID),
	inParentID:          predicate.Intrinsic(predicate.ParentID),
	inParent:            predicate.Intrinsic(predicate.ParentID),
	inTraceDuration:     {Scope: predicate.ScopeTrace, Name: predicate.TraceDuration},
	inRootName:          {Scope: predicate.ScopeTrace, Name: predicate.RootName},
	inRootService:       {Scope: predicate.ScopeTrace, Name: predicate.RootService},
	inEventName:         {Scope: predicate.ScopeEvent, Name: predicate.Name},
	inEventSince:        {Scope: predicate.ScopeEvent, Name: "timeSinceStart"},
	inLinkTrace:         {Scope: predicate.ScopeLink, Name: predicate.TraceID},
	inLinkSpan:          {Scope: predicate.ScopeLink, Name: predicate.SpanID},
	inInstrumentation:   {Scope: predicate.ScopeInstrumentation, Name: "name"},
	inInstrumentVersion: {Scope: predicate.ScopeInstrumentation, Name: "version"},
}

// Predicate returns the field that a source knows; ok is false for what only
// the whole tree tells (parent attributes, nested sets, child counts).
func (f Field) Predicate() (pf predicate.Field, ok bool) {
	if f.Scope == ScopeIntrinsic {
		pf, ok = predicateIntrinsics[f.Name]
		return pf, ok
	}
	return predicate.Field{Scope: predicateScopes[f.Scope], Name: f.Name}, !f.Parent
}

// FromPredicate names a source's field as TraceQL does.
func FromPredicate(pf predicate.Field) (Field, bool) {
	for name, have := range predicateIntrinsics {
		if have.Scope == pf.Scope && have.Name == pf.Name && name != inParent {
			return intrinsic(name), true
		}
	}
	for scope, have := range predicateScopes {
		if have == pf.Scope {
			return Field{Scope: AttrScope(scope), Name: pf.Name}, true
		}
	}
	return Field{}, false
}

// single reports whether a span has at most one value of the field.
func (f Field) single() bool {
	if f.Scope == ScopeIntrinsic {
		return !strings.HasPrefix(f.Name, "event:") && !strings.HasPrefix(f.Name, "link:")
	}
	return f.Scope != ScopeEvent && f.Scope != ScopeLink
}
