package spanmetrics

import (
	"hash/maphash"
	"strings"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// span is what is kept of a span while it waits.
type span struct {
	ID, Parent      model.SpanID
	Start, Duration int64
	Class           uint32
	Service, Peer   uint32 // numbers of texts; Peer 0: none
	Typ             uint8  // of the call to Peer: place in callTypes
	Kind            uint8
	Failed          bool
}

var callTypes = [...]string{calls.TypeCall, calls.TypeMessaging, calls.TypeDatabase, calls.TypeVirtual}

func typeNumber(t string) uint8 {
	for i := range callTypes {
		if callTypes[i] == t {
			return uint8(i)
		}
	}
	return 0
}

// class is what the series of a span's calls are labelled with.
type class struct {
	Service, Name string
	Dims          string // values of Options.Dimensions, each ended by a zero byte
	Kind, Status  uint8
}

// classKey is a class by the number of its service.
type classKey struct {
	service      uint32
	name, dims   string
	kind, status uint8
}

// recentClass is a class that is found without asking the map.
type recentClass struct {
	key classKey
	n   uint32 // +1
}

// likeClass is the class, +1, and the service of spans that are alike.
type likeClass struct{ class, service uint32 }

// openTrace is a trace some of whose spans wait. Times are Unix nanoseconds.
type openTrace struct {
	last      uint32 // piece; 0: none
	n         int
	born, hit int64
}

// waiting are a tenant's spans that are not yet counted, and the tables that
// their numbers point into.
type waiting struct {
	maxClasses int
	dimensions []string

	traces map[model.TraceID]*openTrace
	pieces pieces
	held   int // spans that wait

	classes []class
	numbers map[classKey]uint32
	vacant  []uint32      // numbers that may be given again
	recent  []recentClass // by hash
	seed    maphash.Seed
	seen    []int64 // by class: when it last came
	texts   []string
	textNo  map[string]uint32

	// The classes of spans that the store calls alike, by the lower half of like,
	// for one upper half.
	likes    []likeClass
	likeHead uint64

	// What add looked up last: spans of a resource and of a trace come together.
	lastResource *model.Resource
	lastService  uint32
	lastID       model.TraceID
	lastTrace    *openTrace
}

func newWaiting(maxClasses int, dimensions []string) *waiting {
	return &waiting{maxClasses: maxClasses, dimensions: dimensions, traces: map[model.TraceID]*openTrace{}, numbers: map[classKey]uint32{},
		seed: maphash.MakeSeed(), texts: []string{""}, textNo: map[string]uint32{"": 0}}
}

// add notes one span; now is Unix nanoseconds.
func (w *waiting) add(r *model.Resource, s *model.Span, like uint64, now int64) {
	x := span{ID: s.SpanID, Parent: s.ParentID, Start: s.Start, Duration: s.Duration(), Kind: uint8(s.Kind), Failed: s.Status == model.StatusError}
	x.Class, x.Service = w.alike(r, s, like, now)
	if calls.Calls(s.Kind) {
		if name, typ := calls.Peer(s.Kind, s.Attrs); name != "" {
			x.Peer, x.Typ = w.text(name), typeNumber(typ)
		}
	}
	w.put(s.TraceID, x, now)
}

// alike returns the class and the service of a span: what the last one like it
// had, unless the values of its attributes matter.
func (w *waiting) alike(r *model.Resource, s *model.Span, like uint64, now int64) (class, service uint32) {
	var known *likeClass
	if like != 0 && len(w.dimensions) == 0 {
		if like>>32 != w.likeHead {
			w.likes, w.likeHead = w.likes[:0], like>>32
		}
		at := int(uint32(like))
		for at >= len(w.likes) {
			w.likes = append(w.likes, likeClass{})
		}
		if known = &w.likes[at]; known.class != 0 {
			w.seen[known.class-1] = now
			return known.class - 1, known.service
		}
	}
	service = w.service(r)
	class = w.class(classKey{service, s.Name, w.dims(r, s), uint8(s.Kind), uint8(s.Status)}, now)
	if known != nil {
		*known = likeClass{class + 1, service}
	}
	return class, service
}

// put appends a span to its trace.
func (w *waiting) put(id model.TraceID, x span, now int64) {
	tr := w.lastTrace
	if tr == nil || id != w.lastID {
		if tr = w.traces[id]; tr == nil {
			tr = &openTrace{born: now}
			w.traces[id] = tr
		}
		w.lastID, w.lastTrace = id, tr
	}
	tr.last, tr.hit = w.pieces.add(tr.last, x), now
	tr.n++
	w.held++
}

// restore puts spans that were taken back.
func (w *waiting) restore(d *due) {
	hit := d.hit
	if tr := w.traces[d.id]; tr != nil {
		hit = max(hit, tr.hit)
	}
	for _, x := range d.spans {
		w.put(d.id, x, hit)
	}
	if tr := w.traces[d.id]; tr != nil {
		tr.born = min(tr.born, d.born)
	}
}

// take removes a trace and appends its spans to dst, in the order of arrival
// reversed.
func (w *waiting) take(id model.TraceID, dst []span) []span {
	tr := w.traces[id]
	if tr == nil {
		return dst
	}
	dst = w.pieces.take(tr.last, dst)
	w.held -= tr.n
	delete(w.traces, id)
	w.lastTrace = nil
	if w.held == 0 {
		w.pieces = pieces{}
	}
	return dst
}

func (w *waiting) service(r *model.Resource) uint32 {
	if r != w.lastResource || r == nil {
		w.lastResource, w.lastService = r, w.text(r.Service())
	}
	return w.lastService
}

// endOfRequest forgets what points into the request's memory.
func (w *waiting) endOfRequest() { w.lastResource = nil }

// text numbers a name. Beyond four a class, names are "(other)".
func (w *waiting) text(s string) uint32 {
	n, ok := w.textNo[s]
	if ok {
		return n
	}
	if len(w.texts) > 4*w.maxClasses && s != other {
		return w.text(other)
	}
	s = strings.Clone(s)
	n = uint32(len(w.texts))
	w.texts = append(w.texts, s)
	w.textNo[s] = n
	return n
}

// class numbers what a span is labelled with. Beyond maxClasses the operations
// of a service are one, and far beyond it all services.
func (w *waiting) class(k classKey, now int64) uint32 {
	h := maphash.String(w.seed, k.name) ^ uint64(k.service)*0x9e3779b97f4a7c15 ^ uint64(k.kind)<<8 ^ uint64(k.status)<<4
	if 2*len(w.numbers) >= len(w.recent) {
		w.recent = make([]recentClass, max(16, 2*len(w.recent)))
	}
	slot := &w.recent[h%uint64(len(w.recent))]
	if slot.n != 0 && slot.key == k {
		w.seen[slot.n-1] = now
		return slot.n - 1
	}
	n, ok := w.numbers[k]
	if !ok {
		if k.name != other && len(w.numbers) >= w.maxClasses {
			k.name, k.dims = other, ""
			return w.class(k, now)
		}
		if w.texts[k.service] != other && len(w.numbers) >= 2*w.maxClasses {
			k.service = w.text(other)
			return w.class(k, now)
		}
		k.name, k.dims = strings.Clone(k.name), strings.Clone(k.dims)
		c := class{Service: w.texts[k.service], Name: k.name, Dims: k.dims, Kind: k.kind, Status: k.status}
		if v := len(w.vacant); v > 0 {
			n = w.vacant[v-1]
			w.vacant = w.vacant[:v-1]
			w.classes[n] = c
		} else {
			n = uint32(len(w.classes))
			w.classes = append(w.classes, c)
			w.seen = append(w.seen, 0)
		}
		w.numbers[k] = n
	}
	c := &w.classes[n] // its texts are not those of a request
	*slot = recentClass{classKey{k.service, c.Name, c.Dims, k.kind, k.status}, n + 1}
	w.seen[n] = now
	return n
}

func (w *waiting) dims(r *model.Resource, s *model.Span) string {
	if len(w.dimensions) == 0 {
		return ""
	}
	var b strings.Builder
	for _, d := range w.dimensions {
		v := s.Attrs.Text(d)
		if v == "" && r != nil {
			v = r.Attrs.Text(d)
		}
		b.WriteString(strings.ReplaceAll(v, "\x00", ""))
		b.WriteByte(0)
	}
	return b.String()
}

// forget gives back the numbers of classes that have not come since before, and
// returns them. No waiting span has one: it would have come later.
func (w *waiting) forget(before int64) (gone []uint32) {
	clear(w.recent)
	w.likes = w.likes[:0]
	for c, n := range w.numbers {
		if w.seen[n] < before {
			delete(w.numbers, c)
			w.classes[n] = class{}
			gone = append(gone, n)
		}
	}
	w.vacant = append(w.vacant, gone...)
	return gone
}
