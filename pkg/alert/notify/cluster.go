package notify

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/alertmanager/cluster"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/client_golang/prometheus"

	"braid/pkg/alert/shared"
)

// ClusterOptions of Join. Listen is required.
type ClusterOptions struct {
	// Listen is the address of the gossip: TCP and UDP.
	Listen string
	// Advertise is the address that others reach it at; "" means Listen.
	Advertise string
	// Peers are other members' addresses.
	Peers []string
	// PeerTimeout is how long each waits for the one before it; 0 means 15 s.
	PeerTimeout time.Duration
	// TLSConfig is a file as Alertmanager's --cluster.tls-config has it; "" means
	// that the gossip is neither encrypted nor authenticated.
	TLSConfig string
	// Settle is how long to wait for the others' state at the start before
	// anything is paged; 0 means one minute at most.
	Settle time.Duration
	// Shared is what members tell each other beside silences and what was paged,
	// by name: all members give the same names.
	Shared     map[string]*shared.Set
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Peers are several alerters that page as one, by Alertmanager's own gossip:
// silences and the notification log are shared, and each waits its turn before
// it pages what another may have paged. When they cannot reach each other, each
// pages. All Alertmanagers of a process share one membership.
type Peers struct {
	peer    *cluster.Peer
	timeout time.Duration
	cancel  context.CancelFunc
	settled chan struct{}
}

// Join makes this process a member. Others that do not answer yet are tried
// again for as long as it runs.
func Join(o ClusterOptions) (*Peers, error) {
	if o.PeerTimeout == 0 {
		o.PeerTimeout = 15 * time.Second
	}
	if o.Settle == 0 {
		o.Settle = cluster.DefaultPushPullInterval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	var tls *cluster.TLSTransportConfig
	if o.TLSConfig != "" {
		var err error
		if tls, err = cluster.GetTLSTransportConfig(o.TLSConfig); err != nil {
			return nil, fmt.Errorf("cannot read the TLS settings of the gossip in %s: %w", o.TLSConfig, err)
		}
	}
	peer, err := cluster.Create(o.Logger.With("component", "cluster"), o.Registerer, o.Listen, o.Advertise, o.Peers, true,
		cluster.DefaultPushPullInterval, cluster.DefaultGossipInterval, cluster.DefaultTCPTimeout, cluster.DefaultResolvePeersTimeout,
		cluster.DefaultProbeTimeout, cluster.DefaultProbeInterval, tls, false, "", "")
	if err != nil {
		return nil, fmt.Errorf("cannot begin the gossip of alerters on %s: %w", o.Listen, err)
	}
	// The Alertmanagers' channels are counted by tenant; these belong to none, and
	// one metric must have the same labels everywhere.
	reg := prometheus.WrapRegistererWith(prometheus.Labels{"tenant": ""}, o.Registerer)
	for name, set := range o.Shared { // before the first exchange
		set.Sends(peer.AddState("braid:"+name, set, reg).Broadcast)
	}
	p := &Peers{peer: peer, timeout: o.PeerTimeout, settled: make(chan struct{})}
	if err := peer.Join(cluster.DefaultReconnectInterval, cluster.DefaultReconnectTimeout); err != nil {
		o.Logger.Warn("cannot reach other alerters yet; tried again", "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.Settle)
	p.cancel = cancel
	go func() {
		defer close(p.settled)
		peer.Settle(ctx, 10*cluster.DefaultGossipInterval)
	}()
	return p, nil
}

// Members returns how many there are that answer, this one included.
func (p *Peers) Members() int { return len(p.peer.Peers()) }

// Address is where this one gossips.
func (p *Peers) Address() string { return p.peer.Self().Address() }

// Leave tells the others and ends. Close the Alertmanagers first.
func (p *Peers) Leave() error {
	p.cancel()
	<-p.settled
	return p.peer.Leave(5 * time.Second)
}

// share lets the others know of this Alertmanager's silences and of what it has
// paged. Its name keeps it apart from the others of the process.
func (a *Alertmanager) share() {
	if a.o.Peers == nil {
		return
	}
	p := a.o.Peers.peer
	a.nflog.SetBroadcast(p.AddState("nfl:"+a.o.Name, a.nflog, a.o.Registerer).Broadcast)
	a.silences.SetBroadcast(p.AddState("sil:"+a.o.Name, a.silences, a.o.Registerer).Broadcast)
}

// turn is how long to wait for those before us.
func (a *Alertmanager) turn() time.Duration {
	switch {
	case a.o.turn != nil:
		return a.o.turn()
	case a.o.Peers == nil:
		return 0
	}
	return time.Duration(a.o.Peers.peer.Position()) * a.o.Peers.timeout
}

// settled is nil, and not an interface that holds nil, when alone.
func (a *Alertmanager) settled() amnotify.Peer {
	if a.o.Peers == nil {
		return nil
	}
	return a.o.Peers.peer
}

func (a *Alertmanager) clusterPeer() cluster.ClusterPeer {
	if a.o.Peers == nil {
		return nil
	}
	return a.o.Peers.peer
}
