package ingest

import (
	"encoding/json"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"braid/pkg/model"
	"braid/pkg/otlp"
)

// rejectedField is the JSON name of the count in each signal's partial success;
// in protobuf the three responses have one shape.
var rejectedField = map[Signal]string{
	SignalLogs: "rejectedLogRecords", SignalTraces: "rejectedSpans", SignalMetrics: "rejectedDataPoints",
}

// response writes an Export…ServiceResponse. Its partial_success is absent when
// all was taken without a warning.
func response(s Signal, enc otlp.Encoding, rej model.Rejections) []byte {
	message := clip(rej.Message(), maxMessageBytes)
	full := rej.Count == 0 && message == ""
	if enc == otlp.JSON {
		if full {
			return []byte("{}")
		}
		text, err := json.Marshal(map[string]any{"partialSuccess": map[string]string{
			rejectedField[s]: strconv.FormatInt(rej.Count, 10), "errorMessage": message}})
		if err != nil {
			return []byte("{}") // strings always marshal
		}
		return text
	}
	if full {
		return nil
	}
	var part []byte
	if rej.Count > 0 {
		part = protowire.AppendVarint(protowire.AppendTag(part, 1, protowire.VarintType), uint64(rej.Count))
	}
	part = protowire.AppendString(protowire.AppendTag(part, 2, protowire.BytesType), message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), part)
}
