package generate

import (
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// shop is the simulation.
type shop struct {
	o        Options
	rng      *rand.Rand
	rec      *recorder
	measures *measures
	orders   int
	// tries are requests worth looking at, each with what it shows.
	tries []string
	shown map[string]bool
}

func newShop(o Options) *shop {
	s := &shop{o: o, rng: rand.New(rand.NewPCG(o.Seed, 0x5eed)), rec: newRecorder(), shown: map[string]bool{}}
	s.measures = newMeasures(s)
	return s
}

func (s *shop) has(service string) bool {
	for _, name := range services[:s.o.Services] {
		if name == service {
			return true
		}
	}
	return false
}

// simulate lets a stretch of time pass.
func (s *shop) simulate(from, to time.Time) {
	for range arrivals(s.rng, s.o.Rate, from, to) {
		s.visit(from.Add(time.Duration(s.rng.Int64N(int64(to.Sub(from))))))
	}
	s.deploys(from, to)
	s.measures.flush(from, to)
}

// page is one thing that users do.
type page struct {
	method, route, path string
	weight              int
	handle              func(*frame)
}

var pages = []page{
	{"GET", "/", "/", 30, home},
	{"GET", "/products/{id}", "/products/%s", 35, product},
	{"GET", "/cart", "/cart", 12, viewCart},
	{"POST", "/cart", "/cart", 12, addToCart},
	{"POST", "/checkout", "/checkout", 10, checkout},
	{"GET", "/orders/{id}", "/orders/none", 1, missing},
}

// visit is one user request from the browser's arrival to the answer.
func (s *shop) visit(t time.Time) {
	n := s.rng.IntN(100)
	pg := pages[len(pages)-1]
	for _, candidate := range pages {
		if n -= candidate.weight; n < 0 {
			pg = candidate
			break
		}
	}
	r := s.newRequest()
	f := r.begin(s.on("frontend", r.user.region, t), [8]byte{}, pg.method+" "+pg.route, ptrace.SpanKindServer, t)
	path := pg.path
	if pg.route == "/products/{id}" {
		path = fmt.Sprintf(pg.path, products[s.rng.IntN(len(products))])
	}
	f.put("http.request.method", pg.method, "http.route", pg.route, "url.path", path, "url.scheme", "https", "server.address", "shop.example",
		"http.request.header.x-request-id", []string{r.id}, "user.id", r.user.id, "user.tier", r.user.tier, "session.id", r.user.session,
		"client.address", fmt.Sprintf("203.0.113.%d", s.rng.IntN(250)), "user_agent.original", agents[s.rng.IntN(len(agents))], "network.protocol.version", "2")
	f.work(2 * time.Millisecond)
	pg.handle(f)
	f.work(time.Millisecond)
	s.answer(f, pg, path, t)
}

func (s *shop) answer(f *frame, pg page, path string, t time.Time) {
	r, status, sev := f.r, 200, plog.SeverityNumberInfo
	switch {
	case r.failed != "":
		status, sev = 500, plog.SeverityNumberError
		f.err = r.failed
	case pg.route == "/orders/{id}":
		status, sev = 404, plog.SeverityNumberWarn
	}
	f.put("http.response.status_code", status)
	f.end()
	took := f.now.Sub(t)
	s.measures.http(f, pg.method, pg.route, status, took)
	f.logJSON(sev, map[string]any{"msg": "request", "method": pg.method, "path": path, "status": status,
		"duration_ms": float64(took.Microseconds()) / 1000, "user": map[string]any{"id": r.user.id, "tier": r.user.tier}, "session_id": r.user.session})
	switch {
	case status == 500:
		s.try("failed checkout", r)
	case r.slow:
		s.try("slow checkout of the incident", r)
	case r.order != "":
		s.try("checkout through every service", r)
	}
}

// try keeps one request id of each sort for the user.
func (s *shop) try(what string, r *request) {
	if !s.shown[what] {
		s.shown[what] = true
		s.tries = append(s.tries, fmt.Sprintf("%-36s %s  (trace %s)", what, r.id, r.trace))
	}
}

var agents = []string{
	"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari/604.1",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36",
	"shop-app/7.2 (Android 16)",
}

func home(f *frame) {
	f.call("catalog", "ListProducts", false, listProducts)
	f.call("recommendation", "ForUser", false, recommend)
}

func product(f *frame) {
	f.call("catalog", "GetProduct", false, getProduct)
	f.call("recommendation", "ForUser", false, recommend)
}

func viewCart(f *frame) {
	f.call("cart", "GetCart", false, getCart)
}

func addToCart(f *frame) {
	f.call("catalog", "GetProduct", false, getProduct)
	f.call("cart", "AddItem", false, func(c *frame) {
		item := products[c.r.s.rng.IntN(len(products))]
		c.query("redis", "HSET", "cart", "HSET cart:"+c.r.user.id+" "+item+" 1", 600*time.Microsecond)
		c.log(plog.SeverityNumberInfo, "added "+item+" to cart of "+c.r.user.id, "user.id", c.r.user.id, "item", item)
	})
}

func missing(f *frame) {
	f.log(plog.SeverityNumberWarn, "no such order", "http.route", "/orders/{id}")
}

func listProducts(f *frame) {
	f.query("redis", "GET", "products", "GET products:all", 400*time.Microsecond)
	if f.r.s.rng.Float64() < 0.1 {
		f.log(plog.SeverityNumberDebug, "level=debug msg=\"cache miss\" key=products:all ttl=60s")
		f.query("postgresql", "SELECT", "products", "SELECT id, name, price FROM products WHERE active ORDER BY rank LIMIT $1", 8*time.Millisecond)
	}
	f.work(time.Millisecond)
}

func getProduct(f *frame) {
	f.query("redis", "GET", "product", "GET product:$1", 400*time.Microsecond)
	if f.r.s.rng.Float64() < 0.3 {
		f.query("postgresql", "SELECT", "products", "SELECT * FROM products WHERE id = $1", 3*time.Millisecond)
	}
}

func recommend(f *frame) {
	f.work(12 * time.Millisecond)
	if f.r.s.rng.Float64() < 0.01 {
		f.fail("ValueError", "model returned no candidates", "Traceback (most recent call last):\n  File \"/app/recommend.py\", line 88, in for_user\n    return rank(candidates)\n  File \"/app/rank.py\", line 31, in rank\n    raise ValueError(\"model returned no candidates\")\nValueError: model returned no candidates")
		return
	}
	f.log(plog.SeverityNumberDebug, "ranked 20 candidates", "model", "als-v3", "candidates", 20)
}

func getCart(f *frame) {
	f.query("redis", "HGETALL", "cart", "HGETALL cart:"+f.r.user.id, 700*time.Microsecond)
}
