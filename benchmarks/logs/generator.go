package logs

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"braid/pkg/model"
)

// Start is the time of the first record, Unix nanoseconds.
const Start = int64(1_760_000_000_000_000_000)

const (
	services = 30
	hosts    = 40
	pods     = 300
	routes   = 50
	users    = 100_000
	// perSecond is the rate of the records by their own clock.
	perSecond = 1000
)

// Generator makes the records of a small fleet: services of unequal traffic on
// pods and hosts, requests with users, ids and traces, lines of some fifty
// kinds with drawn numbers. The same seed gives the same records.
type Generator struct {
	rnd       *rand.Rand
	resources []*model.Resource
	scopes    []*model.Scope
	podOf     []int // service of a pod
	service   *rand.Zipf
	user      *rand.Zipf
	route     *rand.Zipf
	now       int64
	trace     model.TraceID
	buf       []byte
	n         int
}

// New returns a generator whose first record is at Start.
func New(seed uint64) *Generator { return NewAt(seed, Start) }

// NewAt returns a generator whose first record is at a time, Unix nanoseconds.
func NewAt(seed uint64, start int64) *Generator {
	r := rand.New(rand.NewPCG(seed, 1))
	g := &Generator{rnd: r, now: start, service: rand.NewZipf(r, 1.3, 3, services-1), user: rand.NewZipf(r, 1.1, 20, users-1), route: rand.NewZipf(r, 1.2, 4, routes-1)}
	for p := range pods {
		svc := p % services
		g.podOf = append(g.podOf, svc)
		g.resources = append(g.resources, &model.Resource{Attrs: model.Attrs{
			{Key: "service.name", Value: model.String(serviceNames[svc%len(serviceNames)] + suffix(svc/len(serviceNames)))},
			{Key: "service.version", Value: model.String(fmt.Sprintf("2.%d.%d", svc%7, p%3))},
			{Key: "deployment.environment", Value: model.String("production")},
			{Key: "k8s.namespace.name", Value: model.String("shop-" + strconv.Itoa(svc%5))},
			{Key: "k8s.pod.name", Value: model.String(fmt.Sprintf("%s-%08x-%05x", serviceNames[svc%len(serviceNames)], uint32(svc)*2654435761, p*7919%0xfffff))},
			{Key: "host.name", Value: model.String(fmt.Sprintf("node-%02d.eu.example.net", p%hosts))},
		}})
	}
	for _, n := range []string{"http.server", "db.client", "worker"} {
		g.scopes = append(g.scopes, &model.Scope{Name: n, Version: "1.4.0"})
	}
	return g
}

func suffix(n int) string {
	if n == 0 {
		return ""
	}
	return "-" + strconv.Itoa(n)
}

var serviceNames = []string{"checkout", "cart", "frontend", "payment", "search", "catalog", "inventory", "shipping", "auth", "recommend"}

// Batch makes one request's worth of records: n of them, from one pod after the
// other.
func (g *Generator) Batch(n int) *model.Logs {
	l := &model.Logs{}
	for n > 0 {
		svc := int(g.service.Uint64())
		pod := svc + services*g.rnd.IntN(pods/services)
		k := min(n, 20+g.rnd.IntN(60))
		b := model.LogBatch{Resource: g.resources[pod], Scope: g.scopes[svc%len(g.scopes)], Records: make([]model.LogRecord, k)}
		for i := range b.Records {
			g.record(&b.Records[i])
		}
		l.Batches = append(l.Batches, b)
		n -= k
	}
	return l
}

var (
	methods = []string{"GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE"}
	codes   = []int64{200, 200, 200, 200, 200, 200, 201, 204, 304, 404, 500, 503}
	threads = []string{"main", "worker-1", "worker-2", "worker-3", "worker-4", "io-1", "io-2", "timer"}
)

func (g *Generator) record(r *model.LogRecord) {
	g.n++
	g.now += int64(g.rnd.ExpFloat64() * 1e9 / perSecond)
	route := int(g.route.Uint64())
	user := int(g.user.Uint64())
	status := codes[g.rnd.IntN(len(codes))]
	ms := math.Round(math.Exp(g.rnd.NormFloat64()*1.1+3)*1000) / 1000
	r.Time = g.now
	r.Observed = g.now + 200_000 + g.rnd.Int64N(3_000_000)
	k := &kinds[pickKind(g.rnd.IntN(1000))]
	r.Severity, r.SeverityText = k.severity, k.level
	g.buf = g.line(g.buf[:0], k.line, route, user, status, ms)
	if g.n%150_000 == 77_777 {
		g.buf = append(append(g.buf, ' '), RareWord...)
	}
	r.Body = model.String(string(g.buf))
	if g.rnd.IntN(2) == 0 {
		if g.rnd.IntN(4) > 0 || g.trace.IsZero() {
			put64(g.trace[:8], g.rnd.Uint64())
			put64(g.trace[8:], g.rnd.Uint64()|1)
		}
		r.TraceID = g.trace
		put64(r.SpanID[:], g.rnd.Uint64()|1)
	}
	r.Attrs = model.Attrs{
		{Key: "http.request.method", Value: model.String(methods[g.rnd.IntN(len(methods))])},
		{Key: "http.route", Value: model.String(routeNames[route])},
		{Key: "http.response.status_code", Value: model.Int(status)},
		{Key: "duration_ms", Value: model.Double(ms)},
		{Key: "user.id", Value: model.String("user-" + strconv.Itoa(100_000+user))},
		{Key: "request.id", Value: model.String(g.uuid())},
		{Key: "client.address", Value: model.String(fmt.Sprintf("10.%d.%d.%d", user>>16, user>>8&255, user&255))},
		{Key: "thread.name", Value: model.String(threads[g.rnd.IntN(len(threads))])},
		{Key: "code.function", Value: model.String(functions[(route*7+int(k.severity))%len(functions)])},
		{Key: "bytes_sent", Value: model.Int(int64(g.rnd.IntN(40_000)))},
	}
}

func put64(dst []byte, x uint64) {
	for i := range 8 {
		dst[i] = byte(x >> (8 * i))
	}
}

func (g *Generator) uuid() string {
	const digits = "0123456789abcdef"
	var b [36]byte
	hi, lo := g.rnd.Uint64(), g.rnd.Uint64()
	for i := range b {
		switch i {
		case 8, 13, 18, 23:
			b[i] = '-'
		default:
			b[i] = digits[hi&15]
			hi = hi>>4 | lo<<60
			lo >>= 4
		}
	}
	return string(b[:])
}

// line fills a template: %u user, %r route, %s status, %d duration, %n number,
// %h hex, %i address, %k key, %q quantity.
func (g *Generator) line(dst []byte, template string, route, user int, status int64, ms float64) []byte {
	for i := 0; i < len(template); i++ {
		if template[i] != '%' {
			dst = append(dst, template[i])
			continue
		}
		i++
		switch template[i] {
		case 'u':
			dst = strconv.AppendInt(append(dst, "user-"...), int64(100_000+user), 10)
		case 'r':
			dst = append(dst, routeNames[route]...)
		case 's':
			dst = strconv.AppendInt(dst, status, 10)
		case 'd':
			dst = strconv.AppendFloat(dst, ms, 'f', 3, 64)
		case 'n':
			dst = strconv.AppendInt(dst, g.rnd.Int64N(1_000_000_000), 10)
		case 'q':
			dst = strconv.AppendInt(dst, g.rnd.Int64N(100), 10)
		case 'h':
			dst = strconv.AppendUint(dst, g.rnd.Uint64(), 16)
		case 'i':
			dst = fmt.Appendf(dst, "10.%d.%d.%d", g.rnd.IntN(4), g.rnd.IntN(256), g.rnd.IntN(256))
		case 'k':
			dst = append(dst, keyNames[g.rnd.IntN(len(keyNames))]...)
		}
	}
	return dst
}

type kind struct {
	weight   int
	severity model.SeverityNumber
	level    string
	line     string
}

// RareWord occurs in about one of a hundred and fifty thousand lines.
const RareWord = "quorumlost"

// kinds are the lines; the weights are per thousand.
var kinds = []kind{
	{170, 9, "INFO", "INFO request completed method=GET path=%r status=%s duration_ms=%d bytes=%n user=%u remote=%i"},
	{90, 9, "INFO", "INFO [http-nio-8080-exec-%q] com.example.shop.web.AccessLogFilter - handled %r for %u from %i:%q in %d ms, response %s"},
	{70, 5, "DEBUG", "DEBUG cache lookup key=%k:%n hit=true tier=memory age=%qs entries=%n"},
	{60, 5, "DEBUG", "DEBUG sql: SELECT id, name, price FROM products WHERE sku = '%k-%n' AND region = 'eu' LIMIT %q took %d ms"},
	{60, 9, "INFO", "INFO Received block blk_%n of size %n from /%i"},
	{55, 9, "INFO", "INFO dfs.DataNode$PacketResponder: PacketResponder %q for block blk_%n terminating"},
	{50, 9, "INFO", "INFO order %n placed by %u with %q items, total %q.%q EUR, warehouse=%k"},
	{50, 9, "INFO", "INFO published event OrderCreated to topic orders.v2 partition=%q offset=%n key=%h"},
	{45, 9, "INFO", "INFO consumer group shipping-workers rebalanced: generation %q, member consumer-%q-%h, assigned partitions %q"},
	{40, 9, "INFO", "INFO session opened for %u via oauth2 client=%k token=%h scope=\"read write\""},
	{40, 13, "WARN", "WARN slow query detected: %d ms on replica db-%q.eu.example.net, table=%k, rows examined %n"},
	{35, 9, "INFO", "INFO GC pause (G1 Evacuation Pause) (young) %qM->%qM(%nM) %d ms"},
	{30, 13, "WARN", "WARN retrying call to payment-gateway attempt=%q backoff=%qms cause=\"connection reset by peer\" correlation=%h"},
	{30, 17, "ERROR", "ERROR upstream connect error or disconnect/reset before headers. reset reason: connection timeout, upstream=%i:8080 path=%r"},
	{25, 9, "INFO", "INFO sshd[%n]: Accepted publickey for deploy from %i port %n ssh2: RSA SHA256:%h%h"},
	{25, 13, "WARN", "WARN sshd[%n]: Failed password for invalid user admin from %i port %n ssh2"},
	{25, 9, "INFO", "INFO kube-scheduler: successfully assigned shop-%q/%k-%h to node-%q.eu.example.net"},
	{20, 17, "ERROR", "ERROR java.lang.NullPointerException: Cannot invoke \"Cart.items()\" because \"cart\" is null\n\tat com.example.shop.cart.CartService.total(CartService.java:%q)\n\tat com.example.shop.web.CartController.show(CartController.java:%q)\n\tat java.base/java.lang.Thread.run(Thread.java:1583)"},
	{20, 13, "WARN", "WARN feature flag %k evaluated to default for %u: rule set version %q is stale"},
	{20, 9, "INFO", "INFO healthcheck ok uptime=%ns goroutines=%n heap=%nB fds=%q"},
	{15, 17, "ERROR", "ERROR payment declined for %u: issuer response code %q, transaction %h, amount %q.%q EUR"},
	{10, 9, "INFO", "INFO config reloaded from /etc/%k/config.yaml in %d ms, %q keys changed, checksum %h"},
	{9, 21, "FATAL", "FATAL out of memory: cannot allocate %n bytes, resident %n of limit %n, killing worker %q"},
	{6, 17, "ERROR", "ERROR x509: certificate has expired or is not yet valid: current time 2025-10-09T08:%q:%qZ is after 2025-10-01T00:00:00Z, host=%k.example.net"},
}

// pickKind turns a number below 1000 into a line.
func pickKind(n int) int {
	for i := range kinds {
		if n -= kinds[i].weight; n < 0 {
			return i
		}
	}
	return 0
}

var (
	keyNames  = []string{"product", "price", "stock", "session", "basket", "customer", "voucher", "address", "shipment", "invoice", "refund", "review"}
	functions = []string{"handleRequest", "loadCart", "chargeCard", "reserveStock", "renderPage", "publishEvent", "consumeBatch", "refreshToken", "lookupPrice"}
)

var routeNames = func() []string {
	out := make([]string, routes)
	for i := range out {
		out[i] = "/api/v" + strconv.Itoa(1+i%2) + "/" + keyNames[i%len(keyNames)]
		if i >= len(keyNames) {
			out[i] += "/" + []string{"{id}", "search", "list", "{id}/items", "batch"}[i/len(keyNames)]
		}
	}
	return out
}()
