package correlation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// TestCriticalSpansAreWaitedFor: of two children that ran at once the one that
// ended last counts, also when its host's clock is behind; a span that only waits
// for its child has no part of its own.
func TestCriticalSpansAreWaitedFor(t *testing.T) {
	span := func(service string, id, parent byte, start, end int64) model.SpanRow {
		s := model.SpanRow{Resource: &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String(service)}}},
			Span: model.Span{TraceID: model.TraceID{1}, SpanID: model.SpanID{id}, Start: start, End: end}}
		if parent > 0 {
			s.ParentID = model.SpanID{parent}
		}
		return s
	}
	tr := buildTree([]model.SpanRow{
		span("slow", 4, 1, -50, 850), // 0 to 900 of the root's clock
		span("front", 1, 0, 0, 1000),
		span("fast", 2, 1, 100, 300),
		span("front", 3, 2, 150, 250),
	})
	var critical []byte
	for i := range tr.nodes {
		if tr.nodes[i].Critical {
			critical = append(critical, tr.nodes[i].SpanID[0])
		}
	}
	require.Equal(t, []byte{4, 1}, critical)
}
