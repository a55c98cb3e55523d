package promql

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// staleNaN ends a series in Prometheus's way.
var staleNaN = math.Float64frombits(value.StaleNaN)

// sample makes a Point a chunks.Sample.
type sample struct{ p Point }

var _ chunks.Sample = sample{}

func (s sample) T() int64                      { return s.p.T }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.p.V }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
