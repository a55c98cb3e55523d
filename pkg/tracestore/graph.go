package tracestore

import (
	"context"
	"slices"
	"sync"

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
	for i := range v.heads {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v.headGraph(g, i, r)
	}
	var whole []*blockReader
	for _, b := range v.blocks {
		if b.coveredBy(r) {
			whole = append(whole, b)
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := v.blockGraph(ctx, g, b, r); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			v.warn(b, err)
		}
	}
	if err := v.wholeGraph(ctx, g, whole); err != nil {
		return nil, err
	}
	if err := v.splitGraph(ctx, g, r); err != nil {
		return nil, err
	}
	if g.Dropped > 0 {
		stats.Warn("the service graph has more than %d edges, %d calls are left out; ask for a shorter range", calls.MaxEdges, g.Dropped)
	}
	return g.Result(), nil
}

// graphMemo remembers the calls of the blocks that a question covered last: the
// next one mostly covers the same.
type graphMemo struct {
	mu     sync.Mutex
	blocks []*blockReader
	sum    *calls.Graph
}

func (m *graphMemo) get(blocks []*blockReader) *calls.Graph {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.blocks, blocks) {
		return nil
	}
	return m.sum
}

// put keeps a sum, which is not changed any more.
func (m *graphMemo) put(blocks []*blockReader, sum *calls.Graph) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocks, m.sum = blocks, sum
}

// wholeGraph adds the calls of blocks that lie in the range as a whole.
func (v *view) wholeGraph(ctx context.Context, g *calls.Graph, blocks []*blockReader) error {
	if len(blocks) == 0 {
		return nil
	}
	m := &v.set.calls
	if sum := m.get(blocks); sum != nil {
		v.stats.AddBlocks(int64(len(blocks)), 0)
		g.Merge(sum)
		return nil
	}
	sum, failed := calls.NewGraph(), false
	for _, b := range blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.blockGraph(ctx, sum, b, model.TimeRange{}); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			v.warn(b, err)
			failed = true
		}
	}
	if !failed {
		m.put(blocks, sum)
	}
	g.Merge(sum)
	return nil
}

// splitGraph counts the traces that several parts hold, as a whole. Each part has
// counted its share of them: that is taken off.
func (v *view) splitGraph(ctx context.Context, g *calls.Graph, r model.TimeRange) error {
	var tr calls.Trace
	counters := map[*rows]*headCounter{}
	for _, h := range v.heads {
		counters[h] = newHeadCounter(h)
	}
	v.eachSplit(func(id model.TraceID) bool {
		refs := v.refs(id)
		for _, x := range refs {
			if x.block == nil {
				counters[x.head].trace(x.trace, -1, len(x.head.rows), calls.InRange(g, r))
				continue
			}
			if err := v.callsOf(ctx, x.block, x.side, []traceRange{{x.trace, x.trace + 1}}, -1, calls.InRange(g, r)); err != nil {
				v.warn(x.block, err)
			}
		}
		var rows []model.SpanRow
		tr.Reset()
		v.joined(refs, nil, func(s *model.SpanRow) bool {
			tr.Add(s.SpanID, s.ParentID, calls.Span{
				Service: s.Resource.Service(), Kind: s.Kind, Failed: s.Status == model.StatusError,
				Start: s.Start, Duration: s.Duration(), Root: s.ParentID.IsZero(),
			})
			if s.Kind == model.SpanKindClient || s.Kind == model.SpanKindProducer {
				rows = append(rows, model.SpanRow{Span: model.Span{Attrs: s.Attrs}})
			} else {
				rows = append(rows, model.SpanRow{})
			}
			return true
		})
		tr.Resolve()
		tr.Count(1, calls.InRange(g, r), func(i int) (string, string) {
			return calls.Peer(model.SpanKindClient, rows[i].Attrs)
		})
		return ctx.Err() == nil
	})
	return ctx.Err()
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
