package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/notify/email"
	"github.com/prometheus/alertmanager/template"
	commoncfg "github.com/prometheus/common/config"
)

// Policy says what the API may set, and where pages may go.
type Policy struct {
	// API allows the configuration, receivers included, to be set by the API.
	API bool
	// Allow are addresses inside the operator's network that receivers which came
	// by the API may reach, beside all public ones.
	Allow []netip.Prefix
	// GuardFile holds the receivers of the operator's own file to the same.
	GuardFile bool
}

// ErrEgress is the reason why an address is not spoken to.
var ErrEgress = errors.New("receivers may not reach this address")

// special are the ranges that are not the public Internet, as far as netip does
// not know them: shared address space, protocol assignments, tests, benchmarks,
// reserved; and those that carry an IPv4 address in an IPv6 one, by which any
// address could be reached.
var special = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10")

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// ParseAllow reads networks as 10.1.0.0/16 or single addresses.
func ParseAllow(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, aerr := netip.ParseAddr(text)
			if aerr != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%q is no network such as 10.1.0.0/16 and no address", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() {
			return nil, fmt.Errorf("%q: write it as an IPv4 network", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// egress decides on the addresses that receivers connect to, when it is known
// which they are: a name, a redirect or a proxy cannot lead past it.
type egress struct{ allow []netip.Prefix }

func (e egress) check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	for _, p := range e.allow {
		if p.Contains(a) {
			return nil
		}
	}
	public := a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	for _, p := range special {
		public = public && !p.Contains(a)
	}
	if !public {
		return fmt.Errorf("%w: %s is not public; the operator can allow it by alerting.receivers.allow", ErrEgress, a)
	}
	return nil
}

// control is called with the address that a name was resolved to, just before
// the connection is made.
func (e egress) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: %s is not TCP", ErrEgress, network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEgress, err)
	}
	return e.check(to.Addr())
}

func (e egress) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, ControlContext: e.control}
	return d.DialContext(ctx, network, address)
}

func (e egress) http() commoncfg.HTTPClientOption { return commoncfg.WithDialContextFunc(e.dial) }

// resolve returns the addresses of a host that may be reached, at least one.
func (e egress) resolve(ctx context.Context, host string) (out []netip.Addr, err error) {
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for _, a := range list {
		if no := e.check(a); no != nil {
			err = fmt.Errorf("%s: %w", host, no)
		} else {
			out = append(out, a)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
}

// guardedEmail sends mail only to servers that may be reached. The library's
// own takes no dialer: it is given the address instead of the name, so that
// the name is not looked up again.
type guardedEmail struct {
	conf   *config.EmailConfig
	tmpl   *template.Template
	log    *slog.Logger
	egress egress
}

// Notify implements amnotify.Notifier.
func (g *guardedEmail) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	list, err := g.egress.resolve(ctx, g.conf.Smarthost.Host)
	if err != nil {
		return true, err
	}
	for _, to := range list {
		c, secure := *g.conf, commoncfg.TLSConfig{}
		if c.TLSConfig != nil {
			secure = *c.TLSConfig
		}
		if secure.ServerName == "" {
			secure.ServerName = c.Smarthost.Host
		}
		c.TLSConfig, c.Smarthost.Host, c.Headers = &secure, to.String(), maps.Clone(c.Headers)
		var retry bool
		retry, err = email.New(&c, g.tmpl, g.log).Notify(ctx, alerts...)
		if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "dial" {
			return retry, err
		}
	}
	return true, err
}
