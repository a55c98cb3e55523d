package ingest

import (
	"braid/pkg/model"
	"braid/pkg/otlp"
)

// protocolOf names OTLP's protocols: "otlp-logs-protobuf" and so on. The names
// are in the ingest log.
func protocolOf(s Signal, enc otlp.Encoding) string {
	if enc == otlp.JSON {
		return "otlp-" + s.String() + "-json"
	}
	return "otlp-" + s.String() + "-protobuf"
}

// otlpProtocols are the three signals in both encodings.
func otlpProtocols() []Protocol {
	var out []Protocol
	for _, enc := range []otlp.Encoding{otlp.Protobuf, otlp.JSON} {
		out = append(out,
			Protocol{Name: protocolOf(SignalLogs, enc), Signal: SignalLogs, Decode: func(body []byte, b *otlp.Buffers) (Batches, model.Rejections, error) {
				v, rej, err := otlp.DecodeLogs(body, enc, b)
				return Batches{Logs: v}, rej, err
			}},
			Protocol{Name: protocolOf(SignalTraces, enc), Signal: SignalTraces, Decode: func(body []byte, b *otlp.Buffers) (Batches, model.Rejections, error) {
				v, rej, err := otlp.DecodeSpans(body, enc, b)
				return Batches{Spans: v}, rej, err
			}},
			Protocol{Name: protocolOf(SignalMetrics, enc), Signal: SignalMetrics, Decode: func(body []byte, b *otlp.Buffers) (Batches, model.Rejections, error) {
				v, rej, err := otlp.DecodeMetrics(body, enc, b)
				return Batches{Metrics: v}, rej, err
			}},
		)
	}
	return out
}
