package remote

import (
	"context"
	"encoding/json"
	"fmt"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
	storev1 "braid/proto/braid/store/v1"
)

var _ query.OutlineSource = (*Client)(nil)

const (
	// maxOutline bounds the spans of an outline that is read from another process:
	// 100 MB there, more than any trace has whose structure is computed.
	maxOutline = 2 << 20
	// maxOperations bounds the bytes of the names in one.
	maxOperations = 256 << 20
	// spansAsked is how many spans of an outline one question asks for, and
	// rowsPerPart how many of them travel in one part.
	spansAsked  = 4096
	rowsPerPart = 1000
)

// Outline implements query.OutlineSource. errors.ErrUnsupported means that the
// other side is an older program: Trace serves.
func (c *Client) Outline(ctx context.Context, t tenant.ID, id model.TraceID, known string, over int, stats *model.QueryStats) (*model.Outline, error) {
	body, err := json.Marshal(outlineQuestion{ID: id.String(), Known: known, Over: over})
	if err != nil {
		return nil, err
	}
	var in *outlineReader
	for data, err := range batches(ctx, c.store.Outline, t, body, stats) {
		if err != nil {
			return nil, err
		}
		if in == nil {
			in, err = newOutlineReader(id, data)
		} else {
			err = in.add(data)
		}
		if err != nil {
			return nil, err
		}
	}
	if in == nil {
		return nil, nil
	}
	return in.end()
}

// SpansAt implements query.OutlineSource.
func (c *Client) SpansAt(ctx context.Context, t tenant.ID, id model.TraceID, version string, at []uint64, stats *model.QueryStats) ([]model.SpanRow, error) {
	out := make([]model.SpanRow, 0, len(at))
	for n := 0; len(at) > 0; at = at[n:] {
		n = min(len(at), spansAsked)
		body, err := json.Marshal(spansQuestion{ID: id.String(), Version: version, At: at[:n]})
		want := len(out) + n
		for list, err := range rows(ctx, c.store.SpansAt, t, body, err, stats, DecodeSpans) {
			if err != nil {
				return nil, err
			}
			if out = append(out, list...); len(out) > want {
				break
			}
		}
		if len(out) != want {
			return nil, fmt.Errorf("cannot read spans of trace %s from a remote source: it was asked for %d spans and sent %d", id, n, n+len(out)-want)
		}
	}
	return out, nil
}

func (s *server) outlineSource() (query.OutlineSource, error) {
	return tracesAs[query.OutlineSource](s, "makes no outlines of traces")
}

func (s *server) Outline(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		var d outlineQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		id, err := readTraceID(d.ID)
		if err != nil {
			return err
		}
		src, err := s.outlineSource()
		if err != nil {
			return err
		}
		o, err := src.Outline(ctx, t, id, d.Known, d.Over, stats)
		if err != nil || o == nil {
			return err
		}
		return sendOutline(send, o)
	})
}

func (s *server) SpansAt(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		var d spansQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		id, err := readTraceID(d.ID)
		if err == nil && len(d.At) > spansAsked {
			err = fmt.Errorf("%w: %d spans are asked for, at most %d are answered", model.ErrInvalid, len(d.At), spansAsked)
		}
		if err != nil {
			return err
		}
		src, err := s.outlineSource()
		if err != nil {
			return err
		}
		list, err := src.SpansAt(ctx, t, id, d.Version, d.At, stats)
		if err != nil {
			return err
		}
		for len(list) > 0 {
			n := min(len(list), rowsPerPart)
			if err := sendEncoded(send, EncodeSpans, list[:n]); err != nil {
				return err
			}
			list = list[n:]
		}
		return nil
	})
}
