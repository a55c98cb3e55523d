package spanmetrics

// Spans that wait lie in pieces of a few, which a trace links, the newest first:
// to put or to take a span mostly touches what was touched just before.
const (
	pieceSpans = 4
	pagePieces = 512
)

type piece struct {
	spans [pieceSpans]span
	n     uint32
	next  uint32 // the piece before it, or the next free one, +1
}

// pieces are pages of pieces by number, from 1 on. They do not move, and give no
// memory back but all of it.
type pieces struct {
	pages []*[pagePieces]piece
	made  uint32
	free  uint32
}

func (p *pieces) at(i uint32) *piece { return &p.pages[(i-1)/pagePieces][(i-1)%pagePieces] }

// add puts a span into a piece or, when that is full or 0, into a new one that it
// returns.
func (p *pieces) add(to uint32, x span) uint32 {
	if to != 0 {
		if at := p.at(to); at.n < pieceSpans {
			at.spans[at.n] = x
			at.n++
			return to
		}
	}
	i := p.free
	if i == 0 {
		if p.made%pagePieces == 0 {
			p.pages = append(p.pages, new([pagePieces]piece))
		}
		p.made++
		i = p.made
	}
	at := p.at(i)
	if p.free == i {
		p.free = at.next
	}
	at.spans[0], at.n, at.next = x, 1, to
	return i
}

// each visits the spans that are linked from a piece on, the newest first.
func (p *pieces) each(i uint32, visit func(*span)) {
	for i != 0 {
		at := p.at(i)
		for k := int(at.n) - 1; k >= 0; k-- {
			visit(&at.spans[k])
		}
		i = at.next
	}
}

// take appends what each visits to dst, and frees the pieces.
func (p *pieces) take(i uint32, dst []span) []span {
	for i != 0 {
		at := p.at(i)
		for k := int(at.n) - 1; k >= 0; k-- {
			dst = append(dst, at.spans[k])
		}
		next := at.next
		at.next, p.free = p.free, i
		i = next
	}
	return dst
}
