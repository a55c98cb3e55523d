package config

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

func TestDefaultsAreValid(t *testing.T) {
	c, err := Parse(nil)
	require.NoError(t, err)
	require.Equal(t, Default(), c)
}

func TestParse(t *testing.T) {
	c, err := Parse([]byte("data_dir: /x\nlogs: {retention: 3d, retention_size: 10GiB}\nlimits: {active_series: 5}\ntenants:\n  a: {label_length: 7, traces_retention: 1h}\ncorrelation:\n  kinds: {order: [order.id]}\n  disabled: [user]\n"))
	require.NoError(t, err)
	require.Equal(t, 72*time.Hour, c.Logs.Retention.Std())
	require.EqualValues(t, 10<<30, c.Logs.RetentionSize)
	require.Equal(t, 5, c.LimitsOf("a").ActiveSeries)
	require.Equal(t, 7, c.LimitsOf("a").LabelLength)
	require.Equal(t, 4096, c.LimitsOf("b").LabelLength)
	require.Equal(t, time.Hour, c.LimitsOf("a").TracesRetention.Std())
	require.Equal(t, time.Hour, c.LimitsOf("a").MaxFuture.Std())
	require.Equal(t, []string{"trace", "order", "request", "session"}, c.Correlation.KeySpec().Kinds())
}

func TestErrorsNameTheWayOut(t *testing.T) {
	for in, want := range map[string]string{
		"http:\n  lisen: x":                    `line 2: unknown key "http.lisen"; did you mean "listen"?`,
		"nothing_like_it: 1":                   `line 1: unknown key "nothing_like_it"; known keys: data_dir`,
		"logs: {retention: tomorrow}":          `line 1: "tomorrow" is no duration`,
		"otlp: {max_body: lots}":               `line 1: "lots" is no size`,
		"otlp: {max_body: 1}":                  "otlp.max_body 1 is too small",
		"http: {listen: 127.0.0.1}":            `http.listen: "127.0.0.1" is no host:port`,
		"grpc: {listen: '127.0.0.1:4320'}":     "http.listen and grpc.listen are both 127.0.0.1:4320",
		"limits: {max_attributes: -1}":         "limits.max_attributes must not be less than 0",
		"tenants: {a: {query_samples: -3}}":    "tenants.a.query_samples must not be less than 0",
		"log: {level: loud}":                   `log.level "loud"`,
		"tenants: {'a/b': {active_series: 1}}": "tenants: invalid tenant",
		"tenants: {a: {active_serie: 1}}":      `unknown key "tenants.a.active_serie"; did you mean "active_series"?`,
		"traces: {retention: 0s}":              "traces.retention must be more than 0",
		"http: {tls: {cert_file: a}}":          "http.tls: cert_file and key_file go together",
		"external_url: ftp://x":                `"ftp://x" is no http(s) address`,
		"alerting: {receivers: {allow: [x]}}":  `alerting.receivers.allow: "x" is no network`,
	} {
		_, err := Parse([]byte(in))
		require.ErrorContains(t, err, want, in)
	}
}

func TestDocumentIsCurrent(t *testing.T) {
	const path = "../../../docs/configuration.md"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(Document()), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, Document(), string(have), "docs/configuration.md is not what the code says: run go test ./cmd/internal/config -update")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("http: {listen: '1:2'}"))
	f.Add([]byte("tenants: {a: {}}\nlogs: [1]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err == nil {
			require.NoError(t, c.Validate())
		}
	})
}
