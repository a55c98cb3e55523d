package calls

import "braid/pkg/model"

// PeerNames are the attributes by which a client's span names the other side,
// the most telling first. The system comes before the namespace: a cache and a
// database of one namespace are two peers.
var PeerNames = []string{
	"peer.service",
	"db.system.name", "db.system", "db.namespace", "db.name",
	"messaging.system", "messaging.destination.name",
	"server.address", "net.peer.name", "net.sock.peer.name",
}

// The ranks of PeerNames that say what the other side is.
const (
	firstDatabase, lastDatabase   = 1, 4
	firstMessaging, lastMessaging = 5, 6
)

// DatabaseNames are the attributes that say that the other side is a database.
var DatabaseNames = PeerNames[firstDatabase : lastDatabase+1]

// Peer names the other side of a call out of the attributes of a client's or
// producer's span, and the type of the call; "" when they do not tell.
func Peer(kind model.SpanKind, attrs model.Attrs) (name, typ string) {
	best, database := len(PeerNames), false
	for i := range attrs {
		r := rank(attrs[i].Key)
		if r < 0 {
			continue
		}
		text := attrs[i].Value.Text()
		if text == "" {
			continue
		}
		if r < best {
			best, name = r, text
		}
		database = database || r >= firstDatabase && r <= lastDatabase
	}
	if kind == model.SpanKindProducer {
		return name, TypeMessaging
	}
	return name, PeerType(best, database)
}

// PeerType is the type of a call by a client whose peer is named by an attribute
// of a rank, its place in PeerNames; database says whether the span has one of
// DatabaseNames.
func PeerType(rank int, database bool) string {
	switch {
	case database:
		return TypeDatabase
	case rank >= firstMessaging && rank <= lastMessaging:
		return TypeMessaging
	}
	return TypeVirtual
}

// rank is the place of a name in PeerNames, -1 for others.
func rank(key string) int {
	switch key {
	case "peer.service":
		return 0
	case "db.system.name":
		return 1
	case "db.system":
		return 2
	case "db.namespace":
		return 3
	case "db.name":
		return 4
	case "messaging.system":
		return 5
	case "messaging.destination.name":
		return 6
	case "server.address":
		return 7
	case "net.peer.name":
		return 8
	case "net.sock.peer.name":
		return 9
	}
	return -1
}
