package plugin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// tailPrefix stands before the LogQL selector, in base64 for URLs, in the path
// of a live channel.
const tailPrefix = "tail/"

// maxFrame bounds one frame of the tail in memory.
const maxFrame = 16 << 20

func tailQuery(path string) (string, error) {
	coded, ok := strings.CutPrefix(path, tailPrefix)
	if !ok {
		return "", fmt.Errorf("no such channel %q: it is %s and a LogQL query in base64", path, tailPrefix)
	}
	text, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil || len(text) == 0 {
		return "", fmt.Errorf("channel %q does not end in a LogQL query in base64", path)
	}
	return string(text), nil
}

// SubscribeStream admits readers of a tail.
func (d *Datasource) SubscribeStream(_ context.Context, req *backend.SubscribeStreamRequest) (*backend.SubscribeStreamResponse, error) {
	if _, err := tailQuery(req.Path); err != nil {
		return &backend.SubscribeStreamResponse{Status: backend.SubscribeStreamStatusNotFound}, nil
	}
	return &backend.SubscribeStreamResponse{Status: backend.SubscribeStreamStatusOK}, nil
}

// PublishStream refuses: nobody writes through a data source.
func (d *Datasource) PublishStream(context.Context, *backend.PublishStreamRequest) (*backend.PublishStreamResponse, error) {
	return &backend.PublishStreamResponse{Status: backend.PublishStreamStatusPermissionDenied}, nil
}

// RunStream sends log lines as they come until the last reader left.
func (d *Datasource) RunStream(ctx context.Context, req *backend.RunStreamRequest, sender *backend.StreamSender) error {
	query, err := tailQuery(req.Path)
	if err != nil {
		return err
	}
	target := d.client.base + "/loki/api/v1/tail?" + url.Values{"query": {query}}.Encode()
	// The client's own timeout would end the tail: its transport is used alone.
	conn, _, err := websocket.Dial(ctx, target, &websocket.DialOptions{HTTPClient: &http.Client{Transport: d.client.http.Transport}, HTTPHeader: d.client.header})
	if err != nil {
		return backend.DownstreamErrorf("cannot tail %s: %w", query, err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxFrame)
	for {
		_, text, err := conn.Read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return backend.DownstreamErrorf("the tail of %s broke off: %w", query, err)
		}
		var frame struct {
			Streams []stream `json:"streams"`
		}
		if err := json.Unmarshal(text, &frame); err != nil {
			return backend.DownstreamErrorf("cannot understand the tail of %s: %w", query, err)
		}
		f, err := d.links.logFrame(frame.Streams)
		if err != nil {
			return err
		}
		if err := sender.SendFrame(f, data.IncludeAll); err != nil {
			return err
		}
	}
}
