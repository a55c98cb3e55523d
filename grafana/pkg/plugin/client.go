package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/httpclient"
)

// maxAnswer bounds one answer of Braid in memory.
const maxAnswer = 256 << 20

// client asks one Braid as one data source is configured. Requests on behalf of
// a user carry that user's token when oauthPassThru is on: the SDK's transport
// adds it from the context of the call.
type client struct {
	base string
	http *http.Client
	// header is what every request carries: tenant and credentials.
	header http.Header
}

func newClient(ctx context.Context, s backend.DataSourceInstanceSettings, own settings) (*client, error) {
	base, err := url.Parse(s.URL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, backend.DownstreamErrorf("URL %q of data source %q is not http://host:port or https://host:port", s.URL, s.Name)
	}
	opts, err := s.HTTPClientOptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read the HTTP settings of data source %q: %w", s.Name, err)
	}
	var forward struct {
		OAuth bool `json:"oauthPassThru"`
	}
	if len(s.JSONData) > 0 {
		if err := json.Unmarshal(s.JSONData, &forward); err != nil {
			return nil, err
		}
	}
	opts.ForwardHTTPHeaders = forward.OAuth
	h, err := httpclient.New(opts)
	if err != nil {
		return nil, fmt.Errorf("cannot use the TLS settings of data source %q: %w", s.Name, err)
	}
	header := http.Header{}
	if own.Tenant != "" {
		header.Set("X-Scope-OrgID", own.Tenant)
	}
	if token := s.DecryptedSecureJSONData["bearerToken"]; token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return &client{base: strings.TrimRight(s.URL, "/"), http: h, header: header}, nil
}

// answerError is an answer that is no success: its status, and the reason that
// Braid gave in whichever shape the API has.
type answerError struct {
	status int
	reason string
}

func (e *answerError) Error() string { return e.reason }

// get asks with GET and decodes JSON into out, when out is not nil.
func (c *client) get(ctx context.Context, path string, params url.Values, out any) error {
	return c.do(ctx, http.MethodGet, path, params, nil, out)
}

func (c *client) do(ctx context.Context, method, path string, params url.Values, body, out any) error {
	status, answer, err := c.send(ctx, method, path, params, body)
	if err != nil {
		return backend.DownstreamError(err)
	}
	if status/100 != 2 {
		return backend.DownstreamError(&answerError{status: status, reason: reason(status, answer)})
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return backend.DownstreamErrorf("cannot understand the answer of %s: %w", path, err)
	}
	return nil
}

// send returns status and body, whatever the status is. Body is sent as JSON.
func (c *client) send(ctx context.Context, method, path string, params url.Values, body any) (int, []byte, error) {
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		r = bytes.NewReader(text)
	}
	target := c.base + path
	if len(params) > 0 {
		target += "?" + params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, r)
	if err != nil {
		return 0, nil, err
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, fmt.Errorf("the answer of %s broke off: %w", path, err)
	}
	if len(answer) > maxAnswer {
		return 0, nil, fmt.Errorf("the answer of %s is larger than %d MiB: ask for less", path, maxAnswer>>20)
	}
	return resp.StatusCode, answer, nil
}

// reason finds the words in an error: Prometheus and Jaeger v3 write "error",
// gRPC's gateway "message", Loki and Tempo plain text.
func reason(status int, body []byte) string {
	var shaped struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(body, &shaped) == nil {
		var text string
		if json.Unmarshal(shaped.Error, &text) == nil && text != "" {
			return text
		}
		if shaped.Message != "" {
			return shaped.Message
		}
	}
	text := strings.TrimSpace(string(body))
	if len(text) > 1000 {
		text = text[:1000] + " …"
	}
	if text == "" {
		text = http.StatusText(status)
	}
	return fmt.Sprintf("%s (HTTP %d)", text, status)
}

func sorted(list []string) []string { sort.Strings(list); return list }
