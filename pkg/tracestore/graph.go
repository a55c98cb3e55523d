package tracestore

import (
	"context"
	"slices"

	"braid/pkg/calls"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// The types of a model.GraphEdge.
const (
	EdgeCall      = calls.TypeCall
	EdgeMessaging = calls.TypeMessaging
	EdgeDatabase  = calls.TypeDatabase
	EdgeVirtual   = calls.TypeVirtual
)

// ServiceGraph computes the calls between services in a range of time. Every part
// remembers its calls by the minute, so that asking again costs little; a head
// counts the traces anew of which more has come. A call is in the range by the start of its server's
// span, where there is one.
func (s *Store) ServiceGraph(ctx context.Context, t tenant.ID, r model.TimeRange, stats *model.QueryStats) (*model.ServiceGraph, error) {
	ten := s.tenant(t, false)
	if ten == nil {
		return &model.ServiceGraph{}, nil
	}
	v := ten.view(stats)
	defer v.release()
	v.prepare()
	g := calls.NewGraph()
	var whole []*blockReader
	var pieces pieceList
	for _, b := range v.blocks {
		if b.coveredBy(r) {
			whole = append(whole, b)
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := v.blockGraph(ctx, g, b, r, &pieces); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			v.warn(b, err)
		}
	}
	// The largest first: the others fit into what it has made room for.
	if err := v.wholeGraph(ctx, g, whole); err != nil {
		return nil, err
	}
	ten.pieces.add(g, pieces.of, pieces.graphs)
	for i := range v.heads {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v.headGraph(g, i, r)
	}
	if err := v.splitGraph(ctx, g, r); err != nil {
		return nil, err
	}
	if g.Dropped > 0 {
		stats.Warn("the service graph has more than %d edges, %d calls are left out; ask for a shorter range", calls.MaxEdges, g.Dropped)
	}
	return g.Result(), nil
}

// peers finds, once a class, which attributes name the peer of its spans.
type peers struct {
	t     *tables
	known []*peerPlaces // by class
}

type peerPlaces struct {
	names     []peerPlace // the most telling first
	databases []int       // attributes
}

// peerPlace is an attribute of a shape, and its rank among calls.PeerNames.
type peerPlace struct{ at, rank int }

func newPeers(t *tables) *peers { return &peers{t: t, known: make([]*peerPlaces, len(t.classes))} }

// of names the peer of a row out of its own attributes, by the rules of
// calls.Peer.
func (p *peers) of(cur cursor, n, class uint32) (name, kind string) {
	sh := p.t.classes[class].shape
	for int(class) >= len(p.known) { // a merge's tables grow
		p.known = append(p.known, nil)
	}
	at := p.known[class]
	if at == nil {
		at = peerPlacesOf(p.t.shapes[sh])
		p.known[class] = at
	}
	rank := len(calls.PeerNames)
	for _, x := range at.names {
		if name = cur.attr(n, sh, x.at).Text(); name != "" {
			rank = x.rank
			break
		}
	}
	database := false
	for _, i := range at.databases {
		database = database || cur.attr(n, sh, i).Text() != ""
	}
	return name, calls.PeerType(rank, database)
}

func peerPlacesOf(sh shape) *peerPlaces {
	out := &peerPlaces{}
	for rank, name := range calls.PeerNames {
		if i := slices.IndexFunc(sh, func(k attrKey) bool { return k.name == name }); i >= 0 {
			out.names = append(out.names, peerPlace{i, rank})
			if slices.Contains(calls.DatabaseNames, name) {
				out.databases = append(out.databases, i)
			}
		}
	}
	return out
}
