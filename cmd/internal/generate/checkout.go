package generate

import (
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// checkout is the long way: cart, stock, quote, payment, order, queue.
func checkout(f *frame) {
	r, s := f.r, f.r.s
	if !s.has("checkout") {
		viewCart(f)
		return
	}
	s.orders++
	r.order = fmt.Sprintf("o-%06x", s.rng.Uint32()&0xffffff)
	f.put("order.id", r.order)
	f.call("checkout", "PlaceOrder", true, func(c *frame) {
		total := 10 + 90*s.rng.Float64()
		c.put("order.id", r.order, "user.id", r.user.id, "user.tier", r.user.tier, "order.total", total)
		placing := c.log(plog.SeverityNumberInfo, "", "order.id", r.order)
		put(placing.Body().SetEmptyMap(), "msg", "placing order", "order", map[string]any{"id": r.order, "total": total, "currency": "EUR"}, "tier", r.user.tier)
		c.call("cart", "GetCart", true, getCart)
		c.call("catalog", "Reserve", true, func(g *frame) {
			g.query("postgresql", "UPDATE", "stock", "UPDATE stock SET reserved = reserved + $1 WHERE product = $2", 5*time.Millisecond)
		})
		c.call("shipping", "Quote", false, func(g *frame) { g.work(4 * time.Millisecond) })
		c.call("payment", "Charge", true, func(g *frame) { charge(g, total) })
		if c.err != "" {
			c.log(plog.SeverityNumberError, "order "+r.order+" failed: "+c.err, "order.id", r.order)
			r.failed = "could not place order: " + c.err
			s.measures.order(c, "failed", 0)
			return
		}
		c.query("postgresql", "INSERT", "orders", "INSERT INTO orders (id, user_id, total) VALUES ($1, $2, $3)", 4*time.Millisecond)
		publish(c)
		c.log(plog.SeverityNumberInfo, fmt.Sprintf("order %s placed, total %.2f EUR", r.order, total), "order.id", r.order)
		s.measures.order(c, "placed", total)
	})
}

const gatewayStack = "java.net.SocketTimeoutException: Read timed out\n" +
	"\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)\n" +
	"\tat com.example.shop.payment.GatewayClient.charge(GatewayClient.java:141)\n" +
	"\tat com.example.shop.payment.PaymentService.charge(PaymentService.java:77)\n" +
	"\tat io.grpc.stub.ServerCalls$UnaryServerCallHandler.onHalfClose(ServerCalls.java:182)\n" +
	"Caused by: java.util.concurrent.TimeoutException: pool of 4 connections exhausted\n\t... 12 more"

// charge asks the outside gateway. The canary has a connection pool that is too
// small for the gold tier's extra check.
func charge(f *frame, total float64) {
	r, s := f.r, f.r.s
	f.put("payment.amount", total, "payment.currency", "EUR", "order.id", r.order, "user.tier", r.user.tier)
	c := r.begin(f.at, f.span.SpanID(), "POST", ptrace.SpanKindClient, f.now)
	c.put("http.request.method", "POST", "url.full", "https://gateway.bank.example/v2/charges", "server.address", "gateway.bank.example", "server.port", 443)
	hit := s.incident(f.now) && f.at.region == canaryRegion && r.user.tier == canaryTier
	if hit {
		r.slow = true
		wait := time.Duration(1500+s.rng.IntN(2500)) * time.Millisecond
		f.log(plog.SeverityNumberWarn, fmt.Sprintf("waiting for a gateway connection: pool exhausted (4 of 4 in use, %d waiting)", 3+s.rng.IntN(9)), "pool.size", 4)
		c.now = c.now.Add(wait)
	}
	c.work(60 * time.Millisecond)
	switch {
	case hit && s.rng.Float64() < 0.3:
		c.fail("java.net.SocketTimeoutException", "payment gateway timed out", gatewayStack)
		c.put("error.type", "timeout")
	case s.rng.Float64() < 0.01:
		c.put("http.response.status_code", 402)
		f.log(plog.SeverityNumberWarn, "card declined", "order.id", r.order, "decline.code", "insufficient_funds")
		c.err = "card declined"
	default:
		c.put("http.response.status_code", 200)
	}
	c.end()
	f.now, f.err = c.now, c.err
	if f.err == "" {
		f.log(plog.SeverityNumberInfo, fmt.Sprintf("charged %.2f EUR", total), "order.id", r.order, "payment.provider", "bank")
	}
}

// publish puts the order on the queue; shipping and notification take it.
func publish(f *frame) {
	r, s := f.r, f.r.s
	p := r.begin(f.at, f.span.SpanID(), "orders publish", ptrace.SpanKindProducer, f.now)
	offset := s.orders
	messaging := []any{"messaging.system", "kafka", "messaging.destination.name", "orders", "messaging.kafka.offset", offset, "messaging.destination.partition.id", fmt.Sprint(offset % 6)}
	p.put(messaging...)
	p.put("messaging.operation.type", "publish", "order.id", r.order)
	p.work(2 * time.Millisecond)
	p.end()
	f.now = p.now
	for _, consumer := range []string{"shipping", "notification"} {
		if !s.has(consumer) {
			continue
		}
		at := s.on(consumer, r.user.region, p.now)
		c := r.begin(at, p.span.SpanID(), "orders process", ptrace.SpanKindConsumer, p.now.Add(s.took(20*time.Millisecond)))
		c.put(messaging...)
		c.put("messaging.operation.type", "process", "messaging.consumer.group.name", consumer)
		link := c.span.Links().AppendEmpty()
		link.SetTraceID(r.trace)
		link.SetSpanID(p.span.SpanID())
		if consumer == "shipping" {
			c.query("postgresql", "INSERT", "shipments", "INSERT INTO shipments (order_id) VALUES ($1)", 4*time.Millisecond)
			c.log(plog.SeverityNumberInfo, "shipment created for "+r.order, "order.id", r.order)
		} else {
			c.notify()
		}
		c.end()
	}
}

// notify is a service whose logger knows nothing of traces: only the request id
// in its JSON ties its lines to the rest.
func (f *frame) notify() {
	f.work(15 * time.Millisecond)
	rec := f.r.s.rec.line(f.at)
	rec.SetTimestamp(stamp(f.now))
	rec.SetObservedTimestamp(stamp(f.now))
	rec.Body().SetStr(fmt.Sprintf(`{"level":"info","msg":"mail sent","template":"order-placed","request_id":%q,"user_id":%q}`, f.r.id, f.r.user.id))
}

// deploys writes an event for every deploy that happens in a stretch of time.
func (s *shop) deploys(from, to time.Time) {
	if !s.has("payment") {
		return
	}
	for _, d := range []struct {
		at     time.Duration
		region string
		reason string
	}{{deployAt, canaryRegion, "canary"}, {rollbackAt, regions[0], "fix"}, {rollbackAt, regions[1], "fix"}} {
		t := from.Add(d.at - phase(from))
		if t.Before(from) {
			t = t.Add(cycle)
		}
		if !t.Before(to) {
			continue
		}
		at := s.on("payment", d.region, t)
		rec := s.rec.line(at)
		rec.SetTimestamp(stamp(t))
		rec.SetObservedTimestamp(stamp(t))
		rec.SetSeverityNumber(plog.SeverityNumberInfo)
		rec.SetSeverityText("INFO")
		rec.SetEventName("deployment")
		rec.Body().SetStr(fmt.Sprintf("deployed payment %s to %s (%s)", at.version, d.region, d.reason))
		put(rec.Attributes(), "deployment.name", "payment", "deployment.id", fmt.Sprintf("d-%d", t.Unix()), "deployment.status", "succeeded",
			"service.version", at.version, "vcs.ref.head.revision", fmt.Sprintf("%08x", uint32(t.Unix()*2654435761)))
	}
}
