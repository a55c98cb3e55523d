package calls

import "braid/pkg/model"

// PeerNames are the attributes by which a client's span names the other side,
// the most telling first.
var PeerNames = []string{"peer.service", "db.namespace", "db.name", "db.system.name", "db.system", "messaging.destination.name", "messaging.system", "server.address", "net.peer.name", "net.sock.peer.name"}

// DatabaseNames are the attributes that say that the other side is a database.
var DatabaseNames = []string{"db.system.name", "db.system", "db.namespace", "db.name"}

// Peer names the other side of a call out of the attributes of a client's or
// producer's span, and the type of the call; "" when they do not tell.
func Peer(kind model.SpanKind, attrs model.Attrs) (name, typ string) {
	best := len(PeerNames)
	typ = TypeVirtual
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
		if r >= firstDatabase && r <= lastDatabase {
			typ = TypeDatabase
		}
	}
	if kind == model.SpanKindProducer {
		typ = TypeMessaging
	}
	return name, typ
}

const firstDatabase, lastDatabase = 1, 4

// rank is the place of a name in PeerNames, -1 for others.
func rank(key string) int {
	switch key {
	case "peer.service":
		return 0
	case "db.namespace":
		return 1
	case "db.name":
		return 2
	case "db.system.name":
		return 3
	case "db.system":
		return 4
	case "messaging.destination.name":
		return 5
	case "messaging.system":
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
