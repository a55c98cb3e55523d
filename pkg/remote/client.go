package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/grpc"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
	storev1 "braid/proto/braid/store/v1"
)

// Client asks one ingester. It satisfies query.MetricSource, query.LogSource
// and query.TraceSource; the connection belongs to the caller.
type Client struct {
	store storev1.StoreClient
}

var (
	_ query.MetricSource = (*Client)(nil)
	_ query.LogSource    = (*Client)(nil)
	_ query.TraceSource  = (*Client)(nil)
)

// NewClient makes a client on a connection.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{store: storev1.NewStoreClient(conn)}
}

type call func(ctx context.Context, q *storev1.Question, opts ...grpc.CallOption) (grpc.ServerStreamingClient[storev1.Part], error)

// batches asks and yields every batch; the cost goes into stats. The call ends
// when the consumer stops.
func batches(ctx context.Context, do call, t tenant.ID, body []byte, stats *model.QueryStats) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		in, err := do(ctx, &storev1.Question{Tenant: string(t), Body: body}, grpc.MaxCallRecvMsgSize(MaxMessage))
		if err != nil {
			yield(nil, fromStatus(err))
			return
		}
		for {
			part, err := in.Recv()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, fromStatus(err))
				return
			}
			if c := part.GetCost(); c != nil {
				stats.AddBytes(c.GetBytes())
				stats.AddRows(c.GetRows())
				stats.AddBlocks(c.GetBlocks(), c.GetBlocksSkipped())
				for _, w := range c.GetWarnings() {
					stats.Warn("%s", w)
				}
				continue
			}
			if !yield(part.GetBatch(), nil) {
				return
			}
		}
	}
}

// one asks for an answer of a single batch.
func one(ctx context.Context, do call, t tenant.ID, body []byte, stats *model.QueryStats) (data []byte, err error) {
	for batch, err := range batches(ctx, do, t, body, stats) {
		if err != nil {
			return nil, err
		}
		data = batch
	}
	return data, nil
}

// rows asks for batches of rows.
func rows[R any](ctx context.Context, do call, t tenant.ID, body []byte, err error, stats *model.QueryStats, decode func([]byte) ([]R, error)) iter.Seq2[[]R, error] {
	return func(yield func([]R, error) bool) {
		if err != nil {
			yield(nil, err)
			return
		}
		for data, err := range batches(ctx, do, t, body, stats) {
			if err != nil {
				yield(nil, err)
				return
			}
			list, err := decode(data)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(list) > 0 && !yield(list, nil) {
				return
			}
		}
	}
}

// SelectLogs implements query.LogSource.
func (c *Client) SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	body, err := encodeLogQuery(q)
	return rows(ctx, c.store.SelectLogs, q.Tenant, body, err, q.Stats, DecodeLogs)
}

// AggregateLogs implements query.LogSource.
func (c *Client) AggregateLogs(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	return c.aggregate(ctx, c.store.AggregateLogs, q)
}

func (c *Client) aggregate(ctx context.Context, do call, q *predicate.Aggregation) (*model.Aggregate, error) {
	body, err := encodeAggregation(q)
	if err != nil {
		return nil, err
	}
	data, err := one(ctx, do, q.Tenant, body, q.Stats)
	if err != nil {
		return nil, err
	}
	return decodeAggregate(data)
}

// LogFields implements query.LogSource.
func (c *Client) LogFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	return c.fields(ctx, c.store.LogFields, q)
}

func (c *Client) fields(ctx context.Context, do call, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	body, err := encodeFieldQuery(q)
	if err != nil {
		return nil, err
	}
	data, err := one(ctx, do, q.Tenant, body, q.Stats)
	if err != nil {
		return nil, err
	}
	return decodeFields(data)
}

// Trace implements query.TraceSource.
func (c *Client) Trace(ctx context.Context, t tenant.ID, id model.TraceID, stats *model.QueryStats) iter.Seq2[[]model.SpanRow, error] {
	body, err := json.Marshal(traceQuestion{ID: id.String()})
	return rows(ctx, c.store.Trace, t, body, err, stats, DecodeSpans)
}

// SelectSpans implements query.TraceSource.
func (c *Client) SelectSpans(ctx context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error] {
	body, err := encodeSpanQuery(q)
	return func(yield func(*model.TraceMatch, error) bool) {
		for list, err := range rows(ctx, c.store.SelectSpans, q.Tenant, body, err, q.Stats, decodeMatches) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, m := range list {
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

// AggregateSpans implements query.TraceSource.
func (c *Client) AggregateSpans(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	return c.aggregate(ctx, c.store.AggregateSpans, q)
}

// SpanFields implements query.TraceSource.
func (c *Client) SpanFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	return c.fields(ctx, c.store.SpanFields, q)
}

// Metadata implements query.MetricSource.
func (c *Client) Metadata(ctx context.Context, t tenant.ID, metric string, limit int) (map[string]model.MetricMeta, error) {
	body, err := json.Marshal(metadataQuestion{metric, limit})
	if err != nil {
		return nil, err
	}
	data, err := one(ctx, c.store.Metadata, t, body, nil)
	if err != nil {
		return nil, err
	}
	var out map[string]model.MetricMeta
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("cannot read metadata from a remote source: %w", err)
	}
	return out, nil
}
