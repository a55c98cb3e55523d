package generate

import (
	"fmt"
	"time"
)

// services are the shop's own, in the order in which Options.Services counts.
var services = []string{"frontend", "catalog", "cart", "checkout", "payment", "shipping", "recommendation", "notification"}

var regions = []string{"eu-west-1", "us-east-1"}

const (
	podsPerRegion = 2
	cycle         = 30 * time.Minute
	deployAt      = 12 * time.Minute // the canary of payment goes out
	rollbackAt    = 20 * time.Minute // and is replaced
	canaryRegion  = "eu-west-1"
	canaryTier    = "gold"
)

// phase returns how far a time is in its half hour.
func phase(t time.Time) time.Duration { return time.Duration(t.UnixNano() % int64(cycle)) }

// incident reports whether the canary is out.
func (s *shop) incident(t time.Time) bool {
	return s.o.Incident || phase(t) >= deployAt && phase(t) < rollbackAt
}

// version of a service in a region. Payment gets a new minor every half hour.
func (s *shop) version(service, region string, t time.Time) string {
	minor := t.Unix() / int64(cycle.Seconds()) % 100
	switch {
	case service != "payment":
		return map[string]string{"frontend": "5.1.3", "catalog": "1.18.0", "cart": "2.0.9", "checkout": "3.7.2"}[service] + ""
	case s.incident(t) && region == canaryRegion:
		return fmt.Sprintf("2.%d.1", minor)
	case phase(t) >= rollbackAt:
		return fmt.Sprintf("2.%d.2", minor)
	}
	return fmt.Sprintf("2.%d.0", minor)
}

// instance is one pod of a service at one version.
type instance struct {
	service, region, version, pod string
}

// on picks a pod of a service in the region of the request.
func (s *shop) on(service, region string, t time.Time) instance {
	n := s.rng.IntN(podsPerRegion)
	if s.o.Incident || phase(t) >= deployAt {
		n += podsPerRegion // a deploy makes new pods; the others were restarted as well
	}
	version := s.version(service, region, t)
	if version == "" {
		version = "1.0.0"
	}
	return instance{service: service, region: region, version: version, pod: fmt.Sprintf("%s-%x-%s%d", service, 0x7d90+len(service), region[:2], n)}
}

// attributes of the resource, as the SDK and the Kubernetes detector write them.
func (i instance) attributes() map[string]string {
	return map[string]string{
		"service.name": i.service, "service.namespace": "shop", "service.version": i.version, "service.instance.id": i.pod,
		"deployment.environment.name": "production", "cloud.provider": "aws", "cloud.region": i.region,
		"k8s.namespace.name": "shop", "k8s.deployment.name": i.service, "k8s.pod.name": i.pod,
		"k8s.node.name": "node-" + i.region + "-" + i.pod[len(i.pod)-1:], "host.name": "ip-10-0-" + i.pod[len(i.pod)-1:] + "-17",
		"telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": languages[i.service], "telemetry.sdk.version": "1.47.0",
	}
}

var languages = map[string]string{
	"frontend": "nodejs", "catalog": "go", "cart": "dotnet", "checkout": "go", "payment": "java",
	"shipping": "rust", "recommendation": "python", "notification": "ruby",
}

// user is a visitor and what travels with the requests.
type user struct {
	id, tier, session, region string
}

func (s *shop) visitor() user {
	n := s.rng.IntN(400)
	tier := "basic"
	if n%7 == 0 {
		tier = canaryTier
	}
	return user{id: fmt.Sprintf("u-%04d", n), tier: tier, region: regions[n%len(regions)],
		session: fmt.Sprintf("s-%04d-%02d", n, s.rng.IntN(3))}
}

var products = []string{"teapot", "lantern", "kite", "compass", "sextant", "hourglass", "abacus", "astrolabe", "barometer", "telescope"}
