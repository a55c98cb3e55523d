package zipkin

import (
	"fmt"
	"mime"
	"net/http"

	"braid/pkg/ingest"
	"braid/pkg/model"
	"braid/pkg/otlp"
)

// The names of the protocols in the ingest log: never change.
const (
	jsonName     = "zipkin-v2-json"
	protobufName = "zipkin-v2-protobuf"
)

// Register tells the pipeline how reports are decoded, also in a replay.
func Register(p *ingest.Pipeline) {
	p.Register(ingest.Protocol{Name: jsonName, Signal: ingest.SignalTraces, Decode: decodeWith(readJSON)})
	p.Register(ingest.Protocol{Name: protobufName, Signal: ingest.SignalTraces, Decode: decodeWith(readProtobuf)})
}

func decodeWith(read func([]byte, *otlp.Buffers) ([]span, error)) func([]byte, *otlp.Buffers) (ingest.Batches, model.Rejections, error) {
	return func(body []byte, b *otlp.Buffers) (ingest.Batches, model.Rejections, error) {
		spans, err := read(body, b)
		if err != nil {
			return ingest.Batches{}, model.Rejections{}, fmt.Errorf("cannot decode Zipkin spans: %w", err)
		}
		out, rej := convert(spans)
		return ingest.Batches{Spans: out}, rej, nil
	}
}

// Handler serves POST /api/v2/spans: 202 when all was taken, 400 with the number
// of spans that were not.
func Handler(p *ingest.Pipeline) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ingest.RequestID(w, r)
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "only POST is allowed here", http.StatusMethodNotAllowed)
			return
		}
		rej, err := report(p, w, r)
		switch {
		case err != nil:
			p.WriteError(w, r, id, err)
		case rej.Count > 0:
			p.WriteError(w, r, id, &ingest.BadRequestError{Field: "spans",
				Err: fmt.Errorf("%d spans were not taken, the others were: %s", rej.Count, rej.Message())})
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
}

func report(p *ingest.Pipeline, w http.ResponseWriter, r *http.Request) (model.Rejections, error) {
	req, release, err := p.ReadHTTP(w, r)
	if err != nil {
		return model.Rejections{}, err
	}
	defer release()
	req.Protocol = jsonName
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && (media == "application/x-protobuf" || media == "application/protobuf") {
		req.Protocol = protobufName
	}
	return p.Ingest(r.Context(), req)
}
