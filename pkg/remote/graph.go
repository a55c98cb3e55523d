package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
	storev1 "braid/proto/braid/store/v1"
)

var _ query.GraphSource = (*Client)(nil)

// ServiceGraph implements query.GraphSource.
func (c *Client) ServiceGraph(ctx context.Context, t tenant.ID, r model.TimeRange, stats *model.QueryStats) (*model.ServiceGraph, error) {
	body, err := json.Marshal(graphQuestion{Range: r})
	if err != nil {
		return nil, err
	}
	data, err := one(ctx, c.store.ServiceGraph, t, body, stats)
	if err != nil {
		return nil, err
	}
	out := &model.ServiceGraph{}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("cannot read a service graph from a remote source: %w", err)
	}
	return out, nil
}

// idsPerPart is how many trace ids travel in one part.
const idsPerPart = 64 << 10

// TraceIDs implements query.GraphSource.
func (c *Client) TraceIDs(ctx context.Context, t tenant.ID, r model.TimeRange, limit int) ([]model.TraceID, error) {
	body, err := json.Marshal(graphQuestion{Range: r, Limit: limit})
	if err != nil {
		return nil, err
	}
	var out []model.TraceID
	for data, err := range batches(ctx, c.store.TraceIDs, t, body, nil) {
		if err != nil {
			return nil, err
		}
		var id model.TraceID
		if len(data)%len(id) != 0 {
			return nil, fmt.Errorf("cannot read trace ids from a remote source: %d bytes", len(data))
		}
		for ; len(data) > 0; data = data[len(id):] {
			out = append(out, model.TraceID(data[:len(id)]))
		}
	}
	return out, nil
}

// tracesAs returns the source of traces as one that can do more than each has to.
func tracesAs[T any](s *server, lacks string) (T, error) {
	src, ok := s.src.Traces.(T)
	if !ok {
		return src, fmt.Errorf("%w: this source %s", errors.ErrUnsupported, lacks)
	}
	return src, nil
}

func (s *server) graphSource() (query.GraphSource, error) {
	return tracesAs[query.GraphSource](s, "keeps no service graph")
}

func (s *server) ServiceGraph(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, stats *model.QueryStats, send func([]byte) error) error {
		var d graphQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		src, err := s.graphSource()
		if err != nil {
			return err
		}
		g, err := src.ServiceGraph(ctx, t, d.Range, stats)
		if err != nil {
			return err
		}
		data, err := json.Marshal(g)
		if err != nil {
			return err
		}
		return send(data)
	})
}

func (s *server) TraceIDs(q *storev1.Question, out stream) error {
	return answer(q, out, func(ctx context.Context, t tenant.ID, _ *model.QueryStats, send func([]byte) error) error {
		var d graphQuestion
		if err := readBody(q.GetBody(), &d); err != nil {
			return err
		}
		src, err := s.graphSource()
		if err != nil {
			return err
		}
		ids, err := src.TraceIDs(ctx, t, d.Range, d.Limit)
		if err != nil {
			return err
		}
		for len(ids) > 0 {
			n := min(len(ids), idsPerPart)
			data := make([]byte, 0, n*len(ids[0]))
			for i := range ids[:n] {
				data = append(data, ids[i][:]...)
			}
			if err := send(data); err != nil {
				return err
			}
			ids = ids[n:]
		}
		return nil
	})
}
