package rule

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
)

// WriteFunc takes series in the remote-write form (timestamps in Unix ms).
type WriteFunc func(ctx context.Context, req *prompb.WriteRequest) error

// Appendable makes a WriteFunc what the rules package records to: an appender's
// samples become one write at Commit.
func Appendable(write WriteFunc) storage.Appendable { return appendable{write} }

type appendable struct{ write WriteFunc }

func (a appendable) Appender(ctx context.Context) storage.Appender {
	return &appender{ctx: ctx, write: a.write}
}

type appender struct {
	ctx   context.Context
	write WriteFunc
	req   prompb.WriteRequest
}

func (a *appender) Append(_ storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	a.req.Timeseries = append(a.req.Timeseries, prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil), Samples: []prompb.Sample{{Timestamp: t, Value: v}}})
	return 0, nil
}

func (a *appender) AppendHistogram(_ storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	var one prompb.Histogram
	if h != nil {
		one = prompb.FromIntHistogram(t, h)
	} else {
		one = prompb.FromFloatHistogram(t, fh)
	}
	a.req.Timeseries = append(a.req.Timeseries, prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil), Histograms: []prompb.Histogram{one}})
	return 0, nil
}

func (a *appender) Commit() error {
	if len(a.req.Timeseries) == 0 {
		return nil
	}
	req := a.req
	a.req = prompb.WriteRequest{}
	if err := a.write(a.ctx, &req); err != nil {
		return fmt.Errorf("cannot record %d series: %w", len(req.Timeseries), err)
	}
	return nil
}

func (a *appender) Rollback() error {
	a.req = prompb.WriteRequest{}
	return nil
}

// Rules record neither exemplars nor metadata nor start times.

func (a *appender) SetOptions(*storage.AppendOptions) {}

func (a *appender) AppendExemplar(storage.SeriesRef, labels.Labels, exemplar.Exemplar) (storage.SeriesRef, error) {
	return 0, nil
}

func (a *appender) UpdateMetadata(storage.SeriesRef, labels.Labels, metadata.Metadata) (storage.SeriesRef, error) {
	return 0, nil
}

func (a *appender) AppendSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64) (storage.SeriesRef, error) {
	return 0, nil
}

func (a *appender) AppendHistogramSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64, *histogram.Histogram, *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return 0, nil
}
