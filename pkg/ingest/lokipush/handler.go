package lokipush

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"braid/pkg/ingest"
	"braid/pkg/model"
	"braid/pkg/otlp"
)

// The names of the protocols in the ingest log: never change.
const (
	protobufName = "loki-push-protobuf"
	jsonName     = "loki-push-json"
)

// Register tells the pipeline how pushes are decoded, also in a replay.
func Register(p *ingest.Pipeline) {
	p.Register(ingest.Protocol{Name: protobufName, Signal: ingest.SignalLogs, Decode: decodeWith(decodeProtobuf)})
	p.Register(ingest.Protocol{Name: jsonName, Signal: ingest.SignalLogs, Decode: decodeWith(decodeJSON)})
}

func decodeWith(decode func([]byte, *otlp.Buffers) (*model.Logs, error)) func([]byte, *otlp.Buffers) (ingest.Batches, model.Rejections, error) {
	return func(body []byte, b *otlp.Buffers) (ingest.Batches, model.Rejections, error) {
		logs, err := decode(body, b)
		if err != nil {
			return ingest.Batches{}, model.Rejections{}, fmt.Errorf("cannot decode push: %w", err)
		}
		return ingest.Batches{Logs: logs}, model.Rejections{}, nil
	}
}

// Handler serves POST /loki/api/v1/push: 204 when all was taken. As with Loki,
// 400 may mean that a part was: the text says how many entries were not.
func Handler(p *ingest.Pipeline) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ingest.RequestID(w, r)
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "only POST is allowed here", http.StatusMethodNotAllowed)
			return
		}
		rej, err := push(p, w, r)
		switch {
		case err != nil:
			p.WriteError(w, r, id, err)
		case rej.Count > 0:
			p.WriteError(w, r, id, &ingest.BadRequestError{Field: "streams",
				Err: fmt.Errorf("%d entries were not taken, the others were: %s", rej.Count, rej.Message())})
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

func push(p *ingest.Pipeline, w http.ResponseWriter, r *http.Request) (model.Rejections, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return model.Rejections{}, &ingest.BadRequestError{Field: "Content-Type", Err: fmt.Errorf("cannot read Content-Type: %w", err)}
	}
	isJSON := strings.HasSuffix(media, "json")
	if encoding := r.Header.Get("Content-Encoding"); !isJSON && encoding != "" && encoding != "snappy" {
		return model.Rejections{}, &ingest.BadRequestError{Field: "Content-Encoding",
			Err: errors.New("a protobuf push is packed with snappy and nothing else; send JSON for other encodings")}
	}
	req, release, err := p.ReadHTTP(w, r)
	if err != nil {
		return model.Rejections{}, err
	}
	defer release()
	req.Protocol = jsonName
	if !isJSON {
		req.Protocol, req.Compression = protobufName, ingest.Snappy
	}
	return p.Ingest(r.Context(), req)
}
