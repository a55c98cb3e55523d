package otlp

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func spanRows(s *model.Spans) (rows []model.SpanRow) {
	for _, b := range s.Batches {
		for _, sp := range b.Spans {
			rows = append(rows, model.SpanRow{Resource: b.Resource, Scope: b.Scope, Span: sp})
		}
	}
	return rows
}

func logRows(l *model.Logs) (rows []model.LogRow) {
	for _, b := range l.Batches {
		for _, r := range b.Records {
			rows = append(rows, model.LogRow{Resource: b.Resource, Scope: b.Scope, LogRecord: r})
		}
	}
	return rows
}

func TestWhatIsEncodedDecodesToTheSame(t *testing.T) {
	logs, traces, _ := samples(t)
	b, again := Get(), Get()
	defer Put(b)
	defer Put(again)
	l, _, err := DecodeLogs(logs, Protobuf, b)
	require.NoError(t, err)
	s, _, err := DecodeSpans(traces, Protobuf, b)
	require.NoError(t, err)

	l2, _, err := DecodeLogs(EncodeLogs(logRows(l)), Protobuf, again)
	require.NoError(t, err)
	require.Equal(t, dump(l), dump(l2))
	s2, _, err := DecodeSpans(EncodeTraces(spanRows(s)), Protobuf, again)
	require.NoError(t, err)
	require.Equal(t, dump(s), dump(s2))

	again.Reset()
	text := EncodeLogsJSON(logRows(l))
	require.True(t, json.Valid(text))
	l2, _, err = DecodeLogs(text, JSON, again)
	require.NoError(t, err)
	require.Equal(t, dump(l), dump(l2))
	text = EncodeTracesJSON(spanRows(s))
	require.True(t, json.Valid(text))
	s2, _, err = DecodeSpans(text, JSON, again)
	require.NoError(t, err)
	require.Equal(t, dump(s), dump(s2))
}

func TestEncodeOddRows(t *testing.T) {
	rows := []model.SpanRow{{}, {Span: model.Span{Attrs: model.Attrs{{Key: "a", Value: model.ArrayJSON("[not json")}, {Key: "", Value: model.Value{}}}}}}
	b := Get()
	defer Put(b)
	s, _, err := DecodeSpans(EncodeTraces(rows), Protobuf, b)
	require.NoError(t, err)
	require.Equal(t, 2, s.Count())
	require.Equal(t, model.String("[not json"), s.Batches[0].Spans[1].Attrs[0].Value)
	require.True(t, json.Valid(EncodeTracesJSON(rows)))
	require.JSONEq(t, `{"resourceLogs":[]}`, string(EncodeLogsJSON(nil)))
	require.Empty(t, EncodeTraces(nil))
}
