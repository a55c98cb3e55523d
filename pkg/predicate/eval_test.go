package predicate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func TestEvalLog(t *testing.T) {
	trace, _ := model.ParseTraceID("0af7651916cd43dd8448eb211c80319c")
	row := LogRow{Spec: model.NewKeySpec(nil), LogRow: &model.LogRow{
		Resource: &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("cart")}}},
		LogRecord: model.LogRecord{Body: model.String("user=7 Payment failed: card_declined"), Severity: 17, TraceID: trace,
			Attrs: model.Attrs{{Key: "http.status_code", Value: model.Int(502)}, {Key: "code", Value: model.String("502")},
				{Key: "x-request-id", Value: model.ArrayJSON(`["A1B2C3D4-0000-1111-2222-333344445555"]`)},
				{Key: "tags", Value: model.ArrayJSON(`["a","b"]`)}}},
	}}
	body := Intrinsic(Body)
	text := func(mode TextMode, q string, fold bool) Expr {
		e, err := NewText(body, mode, q, fold)
		require.NoError(t, err)
		return e
	}
	match := func(f Field, p string) Expr {
		e, err := NewMatch(f, p)
		require.NoError(t, err)
		return e
	}
	any := func(name string) Field { return Field{Name: name} }
	under := func(name string) Field { return Field{Name: name, Underscored: true} }
	for _, c := range []struct {
		name string
		e    Expr
		want bool
	}{
		{"empty and", And{}, true},
		{"empty or", Or{}, false},
		{"contains", text(Contains, "ment fail", false), true},
		{"contains wrong case", text(Contains, "payment", false), false},
		{"contains folded", text(Contains, "PAYMENT", true), true},
		{"word", text(Word, "Payment", false), true},
		{"word inside", text(Word, "ment", false), false},
		{"word with underscore is one word", text(Word, "card", false), false},
		{"phrase", text(Word, "Payment failed", false), true},
		{"prefix", text(Prefix, "card", false), true},
		{"prefix not at a word's start", text(Prefix, "ard", false), false},
		{"word beginning with punctuation", text(Word, "=7", false), true},
		{"regexp", text(Regexp, `user=\d+`, false), true},
		{"level", Compare{Field: Intrinsic(Level), Value: model.String("error")}, true},
		{"resource by any", Compare{Field: any("service.name"), Value: model.String("cart")}, true},
		{"underscored", Compare{Field: under("service_name"), Value: model.String("cart")}, true},
		{"not underscored", Compare{Field: any("service_name"), Value: model.String("cart")}, false},
		{"record scope lacks it", Exists{Field{Scope: ScopeRecord, Name: "service.name"}}, false},
		{"int strict", Compare{Field: any("http.status_code"), Op: Gte, Value: model.Int(500)}, true},
		{"int against double", Compare{Field: any("http.status_code"), Op: Eq, Value: model.Double(502)}, true},
		{"text is no number when strict", Compare{Field: any("code"), Op: Gte, Value: model.Int(500)}, false},
		{"text is a number when loose", Compare{Field: any("code"), Op: Gte, Value: model.Int(500), Loose: true}, true},
		{"number is a text when loose", Compare{Field: any("http.status_code"), Value: model.String("502"), Loose: true}, true},
		{"absent is not different", Compare{Field: any("nope"), Op: Neq, Value: model.String("x")}, false},
		{"not equal by absence", Not{Compare{Field: any("nope"), Value: model.String("x")}}, true},
		{"array has", Compare{Field: any("tags"), Value: model.String("b")}, true},
		{"array lacks", Compare{Field: any("tags"), Op: Neq, Value: model.String("b")}, false},
		{"match is anchored", match(any("service.name"), "car"), false},
		{"match", match(any("service.name"), "c.rt"), true},
		{"trace id", Correlated{Kind: model.KeyTrace, ID: "0af7651916cd43dd8448eb211c80319c"}, true},
		{"request id in an array, canonical", Correlated{Kind: model.KeyRequest, ID: "a1b2c3d4-0000-1111-2222-333344445555"}, true},
		{"any kind", Correlated{ID: "a1b2c3d4-0000-1111-2222-333344445555"}, true},
		{"other kind", Correlated{Kind: model.KeyUser, ID: "a1b2c3d4-0000-1111-2222-333344445555"}, false},
	} {
		require.Equal(t, c.want, Eval(c.e, row), c.name)
	}
}

func TestEvalSpanEventsAndLinks(t *testing.T) {
	parent, _ := model.ParseSpanID("1")
	row := SpanRow{Facts: &model.TraceFacts{RootName: "GET /", Start: 0, End: 5e9}, SpanRow: &model.SpanRow{Span: model.Span{
		Start: 1e9, End: 1e9 + 20e6, Status: model.StatusError, Kind: model.SpanKindServer, ParentID: parent,
		Events: []model.SpanEvent{{Time: 1e9 + 5, Name: "retry"}, {Time: 1e9 + 9, Name: "exception", Attrs: model.Attrs{{Key: "exception.type", Value: model.String("IOError")}}}},
		Links:  []model.SpanLink{{SpanID: parent}}}}}
	for _, c := range []struct {
		name string
		e    Expr
		want bool
	}{
		{"one of the events", Compare{Field: Field{Scope: ScopeEvent, Name: Name}, Value: model.String("exception")}, true},
		{"event attribute", Compare{Field: Field{Scope: ScopeEvent, Name: "exception.type"}, Value: model.String("IOError")}, true},
		{"time since start", Compare{Field: Field{Scope: ScopeEvent, Name: "timeSinceStart"}, Op: Gt, Value: model.Int(8)}, true},
		{"link", Compare{Field: Field{Scope: ScopeLink, Name: SpanID}, Value: model.String("0000000000000001")}, true},
		{"duration", Compare{Field: Intrinsic(Duration), Op: Gt, Value: model.Int(10e6)}, true},
		{"status", Compare{Field: Intrinsic(Status), Value: model.String("error")}, true},
		{"kind", Compare{Field: Intrinsic(Kind), Value: model.String("client")}, false},
		{"trace duration", Compare{Field: Field{Scope: ScopeTrace, Name: TraceDuration}, Op: Gte, Value: model.Int(5e9)}, true},
		{"root name", Compare{Field: Field{Scope: ScopeTrace, Name: RootName}, Value: model.String("GET /")}, true},
		{"has parent", Exists{Intrinsic(ParentID)}, true},
	} {
		require.Equal(t, c.want, Eval(c.e, row), c.name)
	}
}
