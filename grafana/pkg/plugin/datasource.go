// Package plugin answers Grafana's questions with Braid's answers.
//
// A query's life: Grafana calls QueryData with JSON models; query.go decodes
// each and picks its language; client.go asks Braid over HTTP as the data source
// is configured (tenant, TLS, credentials, the user's own token); the file of the
// language and frames.go turn the answer into data frames of Grafana's data plane
// contract, with links (links.go) from each to the others. Health, variables and
// autocomplete (resource.go), live tail (stream.go) and answers in parts
// (chunked.go) go through the same client.
package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/instancemgmt"
	"github.com/grafana/grafana-plugin-sdk-go/backend/resource/httpadapter"
)

// Datasource is one configured data source. It may be called concurrently.
type Datasource struct {
	backend.CallResourceHandler
	client   *client
	links    linker
	metadata metadataCache
}

// The parts of the protocol that the data source serves.
var (
	_ backend.QueryDataHandler        = (*Datasource)(nil)
	_ backend.QueryChunkedDataHandler = (*Datasource)(nil)
	_ backend.CheckHealthHandler      = (*Datasource)(nil)
	_ backend.CallResourceHandler     = (*Datasource)(nil)
	_ backend.StreamHandler           = (*Datasource)(nil)
	_ instancemgmt.InstanceDisposer   = (*Datasource)(nil)
)

// settings is the plugin's share of jsonData; the rest is the SDK's: TLS, basic
// auth, headers, oauthPassThru.
type settings struct {
	Tenant string `json:"tenant"`
}

// New makes the data source of one set of settings.
func New(ctx context.Context, s backend.DataSourceInstanceSettings) (instancemgmt.Instance, error) {
	own := settings{}
	if len(s.JSONData) > 0 {
		if err := json.Unmarshal(s.JSONData, &own); err != nil {
			return nil, backend.DownstreamErrorf("cannot read the settings of data source %q: %w", s.Name, err)
		}
	}
	c, err := newClient(ctx, s, own)
	if err != nil {
		return nil, err
	}
	d := &Datasource{client: c, links: linker{uid: s.UID, name: s.Name}}
	d.CallResourceHandler = httpadapter.New(d.resources())
	return d, nil
}

// Dispose drops idle connections when the settings changed.
func (d *Datasource) Dispose() { d.client.http.CloseIdleConnections() }

// health is Braid's answer at /health.
type health struct {
	Status string `json:"status"`
	State  string `json:"state"`
	Parts  map[string]struct {
		Status string `json:"status"`
		Reason string `json:"reason"`
		Advice string `json:"advice"`
	} `json:"parts"`
}

// CheckHealth says which part of Braid is unhealthy, and that each language
// answers with these credentials.
func (d *Datasource) CheckHealth(ctx context.Context, _ *backend.CheckHealthRequest) (*backend.CheckHealthResult, error) {
	var h health
	// An unhealthy Braid answers 503 with the same body.
	status, body, err := d.client.send(ctx, http.MethodGet, "/health", nil, nil)
	if err != nil {
		return unhealthy(fmt.Sprintf("Braid cannot be reached: %v", err), nil), nil
	}
	if err := json.Unmarshal(body, &h); err != nil || h.Status == "" {
		return unhealthy(fmt.Sprintf("%s/health answered %d and is not Braid's: is the URL right?", d.client.base, status), nil), nil
	}
	var bad []string
	for name, part := range h.Parts {
		if part.Status != "healthy" {
			bad = append(bad, strings.TrimSpace(name+" is "+part.Status+" "+part.Reason))
		}
	}
	for _, probe := range probes {
		if err := d.client.get(ctx, probe.path, probe.params, nil); err != nil {
			bad = append(bad, probe.name+": "+err.Error())
		}
	}
	if len(bad) > 0 || h.Status != "healthy" {
		return unhealthy("Braid is "+h.Status+": "+strings.Join(sorted(bad), "; "), body), nil
	}
	return &backend.CheckHealthResult{Status: backend.HealthStatusOk, Message: "Braid is healthy: metrics, logs and traces answer", JSONDetails: body}, nil
}

func unhealthy(message string, details []byte) *backend.CheckHealthResult {
	return &backend.CheckHealthResult{Status: backend.HealthStatusError, Message: message, JSONDetails: details}
}
