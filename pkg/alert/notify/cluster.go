package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/cluster"
	amnotify "github.com/prometheus/alertmanager/notify"
)

// Cluster joins several Alertmanagers by Alertmanager's own gossip: silences
// and the notification log are shared, and each waits its turn before it pages
// what another may have paged. When they cannot reach each other, each pages.
type Cluster struct {
	// Listen is the address of the gossip; "" means alone.
	Listen string
	// Advertise is the address that others reach it at; "" means Listen.
	Advertise string
	// Peers are other members' addresses.
	Peers []string
	// PeerTimeout is how long each waits for the one before it; 0 means 15 s.
	PeerTimeout time.Duration
}

// join makes this one a member.
func (a *Alertmanager) join() error {
	c := a.o.Cluster
	if c.Listen == "" {
		return nil
	}
	peer, err := cluster.Create(a.o.Logger.With("component", "cluster"), a.o.Registerer, c.Listen, c.Advertise, c.Peers, true,
		cluster.DefaultPushPullInterval, cluster.DefaultGossipInterval, cluster.DefaultTCPTimeout, cluster.DefaultResolvePeersTimeout,
		cluster.DefaultProbeTimeout, cluster.DefaultProbeInterval, nil, false, "", "")
	if err != nil {
		return fmt.Errorf("cannot begin the gossip of alertmanagers on %s: %w", c.Listen, err)
	}
	a.nflog.SetBroadcast(peer.AddState("nfl", a.nflog, a.o.Registerer).Broadcast)
	a.silences.SetBroadcast(peer.AddState("sil", a.silences, a.o.Registerer).Broadcast)
	if err := peer.Join(cluster.DefaultReconnectInterval, cluster.DefaultReconnectTimeout); err != nil {
		a.o.Logger.Warn("cannot reach other alertmanagers yet; tried again", "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), cluster.DefaultPushPullInterval)
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		defer cancel()
		go func() { // ends the settling when we close
			select {
			case <-a.stop:
				cancel()
			case <-ctx.Done():
			}
		}()
		peer.Settle(ctx, 10*cluster.DefaultGossipInterval)
	}()
	a.peer = peer
	return nil
}

// turn is how long to wait for those before us.
func (a *Alertmanager) turn() time.Duration {
	if a.o.turn != nil {
		return a.o.turn()
	}
	if a.peer == nil {
		return 0
	}
	timeout := a.o.Cluster.PeerTimeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	return time.Duration(a.peer.Position()) * timeout
}

// settled is nil, and not an interface that holds nil, when alone.
func (a *Alertmanager) settled() amnotify.Peer {
	if a.peer == nil {
		return nil
	}
	return a.peer
}

func (a *Alertmanager) clusterPeer() cluster.ClusterPeer {
	if a.peer == nil {
		return nil
	}
	return a.peer
}

func (a *Alertmanager) leave() error {
	if a.peer == nil {
		return nil
	}
	return a.peer.Leave(5 * time.Second)
}
