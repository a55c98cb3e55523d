package zipkinapi

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"braid/pkg/model"
	"braid/pkg/query/traceql"
)

// span is Zipkin's v2 span.
type span struct {
	TraceID        string            `json:"traceId"`
	ParentID       string            `json:"parentId,omitempty"`
	ID             string            `json:"id"`
	Kind           string            `json:"kind,omitempty"`
	Name           string            `json:"name,omitempty"`
	Timestamp      int64             `json:"timestamp,omitempty"` // µs
	Duration       int64             `json:"duration,omitempty"`  // µs
	LocalEndpoint  *endpoint         `json:"localEndpoint,omitempty"`
	RemoteEndpoint *endpoint         `json:"remoteEndpoint,omitempty"`
	Annotations    []annotationAt    `json:"annotations,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Shared         bool              `json:"shared,omitempty"`
}

type endpoint struct {
	ServiceName string `json:"serviceName,omitempty"`
	IPv4        string `json:"ipv4,omitempty"`
	IPv6        string `json:"ipv6,omitempty"`
	Port        uint16 `json:"port,omitempty"`
}

type annotationAt struct {
	Timestamp int64  `json:"timestamp"` // µs
	Value     string `json:"value"`
}

// newSpans turns a trace into Zipkin's; the server of a shared id is marked.
func newSpans(rows []model.SpanRow) []span {
	tree := traceql.BuildTree(rows)
	out := make([]span, len(rows))
	for i := range rows {
		out[i] = newSpan(&rows[i])
		out[i].Shared = tree.Flags[i]&traceql.FlagShared != 0
	}
	return out
}

func newSpan(r *model.SpanRow) span {
	s := span{TraceID: traceID(r.TraceID), ID: r.SpanID.String(), Name: r.Name, Timestamp: r.Start / 1000,
		LocalEndpoint: &endpoint{ServiceName: r.Resource.Service()}, RemoteEndpoint: remote(r), Tags: map[string]string{}}
	if !r.ParentID.IsZero() {
		s.ParentID = r.ParentID.String()
	}
	switch r.Kind {
	case model.SpanKindClient, model.SpanKindServer, model.SpanKindProducer, model.SpanKindConsumer:
		s.Kind = strings.ToUpper(r.Kind.String())
	}
	if r.End >= r.Start {
		s.Duration = max(1, (r.End-r.Start)/1000) // Zipkin has no span of no time
	}
	for i := range r.Events {
		s.Annotations = append(s.Annotations, annotationAt{r.Events[i].Time / 1000, r.Events[i].Name})
	}
	if r.Resource != nil {
		addTags(s.Tags, r.Resource.Attrs)
		delete(s.Tags, "service.name")
	}
	addTags(s.Tags, r.Attrs)
	if r.Scope != nil && r.Scope.Name != "" {
		s.Tags["otel.scope.name"] = r.Scope.Name
	}
	if r.Status == model.StatusError {
		if _, has := s.Tags["error"]; !has {
			s.Tags["error"] = r.StatusMessage
			if r.StatusMessage == "" {
				s.Tags["error"] = "true"
			}
		}
	}
	if r.Status != model.StatusUnset {
		s.Tags["otel.status_code"] = strings.ToUpper(r.Status.String())
	}
	return s
}

// traceID spells a 64-bit id with 16 digits, as who sent it did.
func traceID(id model.TraceID) string {
	text := id.String()
	if binary.BigEndian.Uint64(id[:8]) == 0 {
		return text[16:]
	}
	return text
}

func addTags(tags map[string]string, attrs model.Attrs) {
	for _, a := range attrs {
		tags[a.Key] = a.Value.Text()
	}
}

// remote describes the other end of a span, as far as its attributes tell.
func remote(r *model.SpanRow) *endpoint {
	e := &endpoint{}
	for _, key := range peerAttributes {
		if e.ServiceName = r.Attrs.Text(key); e.ServiceName != "" {
			break
		}
	}
	for _, key := range []string{"network.peer.address", "net.sock.peer.addr", "net.peer.ip"} {
		ip, err := netip.ParseAddr(r.Attrs.Text(key))
		if err != nil {
			continue
		}
		if ip.Is4() {
			e.IPv4 = ip.String()
		} else {
			e.IPv6 = ip.String()
		}
		break
	}
	for _, key := range []string{"network.peer.port", "server.port", "net.peer.port"} {
		if v, ok := r.Attrs.Get(key); ok && v.AsInt() > 0 && v.AsInt() <= 65535 {
			e.Port = uint16(v.AsInt())
			break
		}
	}
	if *e == (endpoint{}) {
		return nil
	}
	return e
}
