package testkit

import (
	"encoding/binary"

	"braid/pkg/model"
)

// ShopEpoch is when the traces of Shop begin, Unix nanoseconds: 2023-11-14
// 22:13:20 UTC.
const ShopEpoch = int64(1_700_000_000_000_000_000)

// Shop returns the spans of three traces of a small shop, for golden tests:
// one good (id 1, at ShopEpoch), one failed with events and links (id 2, ten
// seconds later), one whose root never came (id 3, twenty seconds later).
func Shop() []model.SpanRow {
	const ms = int64(1e6)
	lib := &model.Scope{Name: "net/http", Version: "1.2.3"}
	service := func(name string, more ...model.Attr) *model.Resource {
		return &model.Resource{Attrs: append(model.Attrs{{Key: "service.name", Value: model.String(name)}}, more...)}
	}
	front := service("front", model.Attr{Key: "host.name", Value: model.String("h1")}, model.Attr{Key: "process.pid", Value: model.Int(7)})
	cart := service("cart")
	var rows []model.SpanRow
	add := func(trace byte, span, parent uint64, res *model.Resource, name string, kind model.SpanKind, at, dur int64, attrs ...model.Attr) *model.SpanRow {
		r := model.SpanRow{Resource: res, Scope: lib}
		r.TraceID[15] = trace
		binary.BigEndian.PutUint64(r.SpanID[:], span)
		binary.BigEndian.PutUint64(r.ParentID[:], parent)
		r.Name, r.Kind, r.Attrs, r.Flags = name, kind, attrs, 1
		r.Start = ShopEpoch + (int64(trace)-1)*10_000*ms + at*ms
		r.End = r.Start + dur*ms
		rows = append(rows, r)
		return &rows[len(rows)-1]
	}
	code := func(n int64) model.Attr { return model.Attr{Key: "http.response.status_code", Value: model.Int(n)} }
	peer := model.Attr{Key: "peer.service", Value: model.String("redis")}

	add(1, 1, 0, front, "GET /cart", model.SpanKindServer, 0, 100, code(200), model.Attr{Key: "user.id", Value: model.String("u1")})
	add(1, 2, 1, front, "call cart", model.SpanKindClient, 5, 60)
	add(1, 3, 2, cart, "Get", model.SpanKindServer, 10, 50, code(200))
	add(1, 4, 3, cart, "HGET", model.SpanKindClient, 20, 10, peer, model.Attr{Key: "db.rows", Value: model.Double(1.5)})

	add(2, 5, 0, front, "POST /pay", model.SpanKindServer, 0, 2000, code(500), model.Attr{Key: "retry", Value: model.Bool(true)}).Status = model.StatusError
	bad := add(2, 6, 5, cart, "Checkout", model.SpanKindServer, 100, 1500, model.Attr{Key: "tags", Value: model.ArrayJSON(`["a","b"]`)})
	bad.Status, bad.StatusMessage, bad.TraceState = model.StatusError, "out of stock", "k=v"
	bad.Events = []model.SpanEvent{{Time: bad.Start + ms, Name: "exception", Attrs: model.Attrs{{Key: "exception.type", Value: model.String("Empty")}}}}
	link := model.SpanLink{Attrs: model.Attrs{{Key: "why", Value: model.String("retry")}}}
	link.TraceID[15], link.SpanID[7] = 1, 3
	bad.Links = []model.SpanLink{link}

	add(3, 7, 99, cart, "Sweep", model.SpanKindInternal, 0, 30)
	return rows
}
