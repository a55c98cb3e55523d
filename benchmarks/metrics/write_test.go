package metrics

import (
	"context"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"

	"braid/pkg/tenant"
)

// BenchmarkRemoteWrite: the same fleet by remote write 1.0, three instances a
// request: decompression, decoding, appending, commit.
func BenchmarkRemoteWrite(b *testing.B) {
	const steps, perRequest = 10, 3
	for b.Loop() {
		s := newServer(b)
		f := NewFleet(fleet, 1, epoch)
		var first, known time.Duration
		for step := range steps + 1 {
			s.now = s.now.Add(interval)
			var payloads [][]byte
			for i := 0; i < fleet; i += perRequest {
				var req prompb.WriteRequest
				for n := i; n < min(i+perRequest, fleet); n++ {
					req.Timeseries = append(req.Timeseries, f.Write(n, s.now)...)
				}
				raw, err := req.Marshal()
				require.NoError(b, err)
				payloads = append(payloads, snappy.Encode(nil, raw))
			}
			before := cpu()
			for _, p := range payloads {
				raw, err := snappy.Decode(nil, p)
				require.NoError(b, err)
				s.pos++
				_, rej, err := s.store.AppendRemoteWrite(context.Background(), tenant.Default, s.pos, 1, raw)
				require.NoError(b, err)
				require.Zero(b, rej.Count, rej.Message())
			}
			if spent := cpu() - before; step == 0 {
				first = spent
			} else {
				known += spent
			}
		}
		b.ReportMetric(perMillion(first, fleet*SamplesPerInstance), "new-cpu-s/Mseries")
		b.ReportMetric(perMillion(known, steps*fleet*SamplesPerInstance), "cpu-s/Msample")
		b.ReportMetric(peakMB(b), "peak-rss-MB")
	}
}
