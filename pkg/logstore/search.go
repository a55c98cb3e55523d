package logstore

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode/utf8"

	"braid/pkg/predicate"
)

// searcher looks for a text in all values of a vector at once: they lie one
// after the other, so that one pass over the bytes does.
type searcher struct {
	query []byte
	fold  bool // ignore the case; the query is lower-case ASCII
	rare  int  // index of the byte of query to look for first: fold
	start bool // a word must not begin before it
	end   bool // nor go on behind it
	// bounded: the query's first byte begins a word, if it is of one
	bounded bool
}

// newSearcher returns the searcher of a Text, nil when only the definition will
// do.
func newSearcher(e predicate.Text) *searcher {
	if e.Query == "" || e.Mode == predicate.Regexp {
		return nil
	}
	s := &searcher{query: []byte(e.Query), fold: e.Fold}
	if e.Fold {
		for i, c := range s.query {
			if c >= utf8.RuneSelf {
				return nil
			}
			if c >= 'A' && c <= 'Z' {
				s.query[i] = c + 'a' - 'A'
			}
			if byteRank(s.query[i]) < byteRank(s.query[s.rare]) {
				s.rare = i
			}
		}
	}
	if e.Mode == predicate.Word || e.Mode == predicate.Prefix {
		s.bounded = true
		s.start = predicate.WordByte(e.Query[0])
		s.end = e.Mode == predicate.Word && predicate.WordByte(e.Query[len(e.Query)-1])
	}
	return s
}

// byteRank orders bytes by how often they are met in logs, roughly.
func byteRank(c byte) int {
	return strings.IndexByte("zqjx!#$%&'*+;<>?@\\^`{|}~(),-[]\"vkbwyg_hmfp:./=ucdl0123456789 rnsiotae", c)
}

// foreignFolds are the characters beyond ASCII that a search ignoring case takes
// for s and k: a page that has them is left to the definition.
var foreignFolds = [][]byte{[]byte("\u017f"), []byte("\u212a")}

// scan sets the rows of left whose text has the query; false when it cannot
// tell for this vector.
func (s *searcher) scan(v *vector, left, out bitset) bool {
	data := v.data[:v.offs[v.n]]
	if s.fold {
		for _, f := range foreignFolds {
			if bytes.Contains(data, f) {
				return false
			}
		}
	}
	i := 0
	for at := int(v.offs[0]); at < len(data); {
		k := s.next(data[at:])
		if k < 0 {
			return true
		}
		at += k
		if int(v.offs[i+1]) <= at {
			i = s.valueAt(v, i, at)
		}
		lo, hi := int(v.offs[i]), int(v.offs[i+1])
		end := at + len(s.query)
		if end > hi || s.start && at > lo && predicate.WordByte(data[at-1]) || s.end && end < hi && predicate.WordByte(data[end]) {
			at++
			continue
		}
		if row := v.row(i); left.has(row) {
			out.set(row)
		}
		at = hi
	}
	return true
}

// valueAt returns the value in which a byte lies, from i on.
func (s *searcher) valueAt(v *vector, i, at int) int {
	for step := 1; ; step *= 2 { // gallop, then halve
		if i+step >= v.n || int(v.offs[i+step]) > at {
			lo, hi := i+step/2, min(i+step, v.n)
			for lo+1 < hi {
				if mid := (lo + hi) / 2; int(v.offs[mid]) > at {
					hi = mid
				} else {
					lo = mid
				}
			}
			// empty values end where they begin: the last one at this place has bytes
			for int(v.offs[lo+1]) <= at {
				lo++
			}
			return lo
		}
	}
}

// next finds the query.
func (s *searcher) next(data []byte) int {
	if !s.fold {
		return bytes.Index(data, s.query)
	}
	c := s.query[s.rare]
	for at := s.rare; at < len(data); at++ {
		k := indexFold(data[at:], c)
		if k < 0 {
			return -1
		}
		at += k
		from := at - s.rare
		if from+len(s.query) > len(data) {
			return -1
		}
		if equalFold(data[from:from+len(s.query)], s.query) {
			return from
		}
	}
	return -1
}

func equalFold(s, lower []byte) bool {
	for i, c := range lower {
		b := s[i]
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != c {
			return false
		}
	}
	return true
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// indexFold finds a byte, or the upper-case form of it, eight bytes a step.
func indexFold(data []byte, lower byte) int {
	if lower < 'a' || lower > 'z' {
		return bytes.IndexByte(data, lower)
	}
	want := uint64(lower) * eachByte
	i := 0
	for ; i+8 <= len(data); i += 8 {
		x := (binary.LittleEndian.Uint64(data[i:]) | 0x20*eachByte) ^ want
		if hit := (x - eachByte) &^ x & highBits; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(data); i++ {
		if data[i]|0x20 == lower {
			return i
		}
	}
	return -1
}

// dfa decides whether a regular expression matches somewhere in a text. States
// are made as they are met. It knows ASCII text only. One goroutine uses it.
type dfa struct {
	prog    *syntax.Prog
	start   *dfaState
	states  map[string]*dfaState
	anchors bool // the program looks at what is around it
	mark    []uint32
	gen     uint32
	stack   []uint32
}

// dfaState is a set of threads before they look at what follows.
type dfaState struct {
	next [129]*dfaState // by byte, 128 at the end of the text; nil: not known yet
	pcs  []uint32
	prev rune // stands for the class of the byte before
}

var (
	dfaAccept = &dfaState{}
	dfaReject = &dfaState{}
)

// maxStates bounds a dfa: some 20 MiB. A program that needs more is left to the
// regexp package.
const maxStates = 16_000

func newDFA(pattern string) *dfa {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || len(prog.Inst) > 2000 {
		return nil
	}
	d := &dfa{prog: prog, states: map[string]*dfaState{}, mark: make([]uint32, len(prog.Inst))}
	for _, in := range prog.Inst {
		d.anchors = d.anchors || in.Op == syntax.InstEmptyWidth
	}
	d.start = d.state([]uint32{uint32(prog.Start)}, -1)
	return d
}

// match reports whether a text matches; ok is false when the dfa cannot tell.
func (d *dfa) match(s []byte) (matched, ok bool) {
	st := d.start
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false, false
		}
		next := st.next[c]
		if next == nil {
			if next = d.step(st, int(c)); next == nil {
				return false, false
			}
		}
		if next == dfaAccept {
			return true, true
		}
		st = next
	}
	next := st.next[128]
	if next == nil {
		next = d.step(st, 128)
	}
	return next == dfaAccept, true
}

// step computes a transition, nil when there are too many states.
func (d *dfa) step(st *dfaState, c int) *dfaState {
	r := rune(c)
	if c == 128 {
		r = -1
	}
	flags := syntax.EmptyOpContext(st.prev, r)
	next := []uint32(nil)
	d.gen++
	accept := false
	for _, pc := range st.pcs {
		d.follow(pc, flags, func(pc uint32, in *syntax.Inst) {
			if in.Op == syntax.InstMatch {
				accept = true
			} else if r >= 0 && in.MatchRune(r) {
				next = append(next, in.Out)
			}
		})
	}
	var to *dfaState
	switch {
	case accept:
		to = dfaAccept
	case r < 0:
		to = dfaReject
	default:
		next = append(next, uint32(d.prog.Start)) // a match may begin anywhere
		if !d.anchors {
			r = 0
		}
		if to = d.state(next, r); to == nil {
			return nil
		}
	}
	st.next[c] = to
	return to
}

// follow yields the instructions that a thread comes to without reading.
func (d *dfa) follow(pc uint32, flags syntax.EmptyOp, yield func(uint32, *syntax.Inst)) {
	d.stack = append(d.stack[:0], pc)
	for len(d.stack) > 0 {
		pc := d.stack[len(d.stack)-1]
		d.stack = d.stack[:len(d.stack)-1]
		if d.mark[pc] == d.gen {
			continue
		}
		d.mark[pc] = d.gen
		in := &d.prog.Inst[pc]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			d.stack = append(d.stack, in.Arg, in.Out)
		case syntax.InstCapture, syntax.InstNop:
			d.stack = append(d.stack, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^flags == 0 {
				d.stack = append(d.stack, in.Out)
			}
		case syntax.InstFail:
		default:
			yield(pc, in)
		}
	}
}

// state returns the state of a set of threads after a byte.
func (d *dfa) state(pcs []uint32, prev rune) *dfaState {
	class := prev
	switch {
	case prev < 0, prev == '\n':
	case syntax.IsWordChar(prev):
		class = 'a'
	default:
		class = ' '
	}
	d.gen++
	set := pcs[:0]
	for _, pc := range pcs {
		if d.mark[pc] != d.gen {
			d.mark[pc] = d.gen
			set = append(set, pc)
		}
	}
	key := make([]byte, 0, 4*len(set)+4)
	for pc := range d.mark { // sorted
		if d.mark[pc] == d.gen {
			key = binary.LittleEndian.AppendUint16(key, uint16(pc))
		}
	}
	key = binary.LittleEndian.AppendUint32(key, uint32(class))
	if st := d.states[string(key)]; st != nil {
		return st
	}
	if len(d.states) >= maxStates {
		return nil
	}
	st := &dfaState{pcs: set, prev: class}
	d.states[string(key)] = st
	return st
}

// matcher matches a regular expression against many texts, by several
// goroutines: with a dfa each where that can tell, else by its definition.
type matcher struct {
	pattern string
	text    func(string) bool
	pool    sync.Pool
	simple  bool // there can be a dfa
}

func newMatcher(pattern string, text func(string) bool) *matcher {
	m := &matcher{pattern: pattern, text: text}
	d := newDFA(pattern)
	if m.simple = d != nil; m.simple {
		m.pool.Put(d)
	}
	return m
}

// scan sets the rows of left whose text matches.
func (m *matcher) scan(v *vector, left, out bitset) {
	var d *dfa
	if m.simple {
		if d, _ = m.pool.Get().(*dfa); d == nil {
			d = newDFA(m.pattern)
		}
		defer m.pool.Put(d)
	}
	eachValue(v, left, func(i, row int) {
		s := v.data[v.offs[i]:v.offs[i+1]]
		if d != nil {
			if matched, ok := d.match(s); ok {
				if matched {
					out.set(row)
				}
				return
			}
		}
		if m.text(view(s)) {
			out.set(row)
		}
	})
}
