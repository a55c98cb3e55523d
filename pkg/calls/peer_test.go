package calls

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func TestPeer(t *testing.T) {
	for attrs, want := range map[string]string{
		"":                                  " virtual_node",
		"http.route=/":                      " virtual_node",
		"db.namespace=shop db.system=redis": "redis database",
		"db.namespace=shop db.system.name=postgresql": "postgresql database",
		"db.system=redis server.address=10.0.0.1":     "redis database",
		"db.namespace=shop server.address=10.0.0.1":   "shop database",
		"db.name=shop":                                             "shop database",
		"peer.service=orders-db db.system=mysql":                   "orders-db database",
		"messaging.system=kafka messaging.destination.name=orders": "kafka messaging_system",
		"messaging.destination.name=orders":                        "orders messaging_system",
		"messaging.system=kafka peer.service=broker":               "broker virtual_node",
		"server.address=cart.svc net.peer.name=10.0.0.1":           "cart.svc virtual_node",
		"net.peer.name=10.0.0.1":                                   "10.0.0.1 virtual_node",
		"db.system= server.address=cart.svc":                       "cart.svc virtual_node",
	} {
		var a model.Attrs
		for _, kv := range strings.Fields(attrs) {
			k, v, _ := strings.Cut(kv, "=")
			a = append(a, model.Attr{Key: k, Value: model.String(v)})
		}
		name, typ := Peer(model.SpanKindClient, a)
		require.Equal(t, want, name+" "+typ, attrs)
		produced, typ := Peer(model.SpanKindProducer, a)
		require.Equal(t, name, produced)
		require.Equal(t, TypeMessaging, typ)
	}
}

func TestRanksAreThePlacesOfNames(t *testing.T) {
	for i, name := range PeerNames {
		require.Equal(t, i, rank(name), name)
	}
}
