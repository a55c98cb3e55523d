package ingest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// TestTheOpenTelemetrySDK sends with the real SDK, both transports, with and
// without gzip.
func TestTheOpenTelemetrySDK(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Now = time.Now })
	url := strings.TrimPrefix(listenHTTP(t, f.Pipeline), "http://")
	conn := listenGRPC(t, f.Pipeline)

	for _, gz := range []bool{false, true} {
		httpOpts := []otlptracehttp.Option{otlptracehttp.WithEndpoint(url), otlptracehttp.WithInsecure(), otlptracehttp.WithHeaders(map[string]string{"X-Scope-OrgID": "sdk"})}
		grpcOpts := []otlptracegrpc.Option{otlptracegrpc.WithGRPCConn(conn), otlptracegrpc.WithHeaders(map[string]string{"x-scope-orgid": "sdk"})}
		if gz {
			httpOpts = append(httpOpts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
			grpcOpts = append(grpcOpts, otlptracegrpc.WithCompressor("gzip"))
		}
		overHTTP, err := otlptracehttp.New(ctx, httpOpts...)
		require.NoError(t, err)
		overGRPC, err := otlptracegrpc.New(ctx, grpcOpts...)
		require.NoError(t, err)
		for _, exporter := range []sdktrace.SpanExporter{overHTTP, overGRPC} {
			tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
			_, span := tp.Tracer("test").Start(ctx, "work")
			span.SetAttributes(attribute.String("k", "v"), attribute.StringSlice("list", []string{"a", "b"}))
			span.AddEvent("halfway")
			span.End()
			require.NoError(t, tp.Shutdown(ctx))
		}
	}
	require.Len(t, f.store.spans["sdk"], 4)
	for _, s := range f.store.spans["sdk"] {
		require.Equal(t, "work", s.Name)
		require.Equal(t, `["a","b"]`, s.Attrs.Text("list"))
		require.Len(t, s.Events, 1)
	}

	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(url), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	require.NoError(t, err)
	require.NoError(t, exporter.Export(ctx, &metricdata.ResourceMetrics{Resource: resource.Empty(), ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{
		{Name: "requests", Data: metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: []metricdata.DataPoint[int64]{{Time: time.Now(), Value: 3}}}},
		{Name: "latency", Data: metricdata.ExponentialHistogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{
			{Time: time.Now(), Count: 3, ZeroCount: 1, Scale: 4, PositiveBucket: metricdata.ExponentialBucket{Offset: -2, Counts: []uint64{1, 1}}}}}},
	}}}}))
	require.NoError(t, exporter.Shutdown(ctx))
	require.Len(t, f.store.metrics["default"], 2)
}

// certificate writes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &priv.PublicKey, priv)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(priv)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(cert, certPEM, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return cert, key, pool
}

// TestTLSOfTheCollectorsConfig: the servers are the Collector's.
func TestTLSOfTheCollectorsConfig(t *testing.T) {
	f := newFixture(t, nil)
	cert, key, pool := certificate(t)
	settings := configtls.NewDefaultServerConfig()
	settings.CertFile, settings.KeyFile = cert, key
	cfg := DefaultHTTPConfig()
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.TLS = configoptional.Some(settings)
	srv, err := f.ListenHTTP(ctx, cfg, f.HTTPHandler())
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	r, err := client.Post("https://"+srv.Addr().String()+"/v1/traces", jsonType, strings.NewReader(goodSpan("")))
	require.NoError(t, err)
	r.Body.Close()
	require.Equal(t, 200, r.StatusCode)
	client.CloseIdleConnections()
	require.NoError(t, srv.Close(ctx))
	require.NoError(t, <-srv.Done())

	cfg = DefaultHTTPConfig()
	cfg.NetAddr.Endpoint = "256.0.0.1:1"
	_, err = f.ListenHTTP(ctx, cfg, f.HTTPHandler())
	require.ErrorContains(t, err, "256.0.0.1:1")
}
