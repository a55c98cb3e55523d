package logstore

import (
	"bytes"
	"strings"
	"unsafe"

	"braid/pkg/predicate"
)

// A search in templated texts. Where the query lies in a text, each of its words
// that has a digit is a variable, whole, and what has none is in the template;
// only words at an open end of the query can be a part of either. So the query
// becomes a few texts with the placeholder for variables, which are looked for
// in the templates, and tests of the variables that they hit. Texts need not be
// made, and only the variables of templates that can match are read.

// how a variable must be like a text.
type how uint8

const (
	isEqual how = iota
	hasPrefix
	hasSuffix
	hasInfix
)

// varTest is a test of one variable of a template.
type varTest struct {
	slot int
	how  how
	want []byte
	hex  bool // want is hex digits in lower case
	// want is head bytes and then count digits, which are num; pow is 10^count
	head, count int
	num, pow    uint64
}

// alignment is one way in which a query can lie in a text: what the template
// must contain, and tests of the variables at the placeholders in it.
type alignment struct {
	text  []byte
	tests []varTest // slot counts from the first placeholder
	start bool      // no word may go on before text
	end   bool      // nor behind it
}

// alignments lists the ways in which the query can lie in a templated text; nil
// when there may be others.
func (s *searcher) alignments() []alignment {
	q := string(s.query)
	if q == "" || strings.IndexByte(q, placeholder) >= 0 {
		return nil
	}
	list := []alignment{{}}
	for at := 0; at < len(q); {
		from := at
		for at < len(q) && byteClass[q[at]] == 0 {
			at++
		}
		for i := range list {
			list[i].text = append(list[i].text, q[from:at]...)
		}
		if from = at; from == len(q) {
			break
		}
		for at < len(q) && byteClass[q[at]] != 0 {
			at++
		}
		openStart, openEnd := from == 0 && !s.start, at == len(q) && !s.end
		word := q[from:at]
		// as a variable, or a part of one
		var inVar []alignment
		if hasDigit(word) || openStart || openEnd {
			kind := isEqual
			switch {
			case openStart && openEnd:
				kind = hasInfix
			case openStart:
				kind = hasSuffix
			case openEnd:
				kind = hasPrefix
			}
			for _, a := range list {
				n := len(a.tests)
				inVar = append(inVar, alignment{text: append(bytes.Clone(a.text), placeholder), tests: append(a.tests[:n:n], newVarTest(n, kind, word)), start: a.start})
			}
		}
		if hasDigit(word) {
			list = inVar
			continue
		}
		for i := range list {
			a := &list[i]
			a.text = append(a.text, word...)
			a.start = a.start || from == 0 && s.start
			a.end = at == len(q) && s.end
		}
		list = append(list, inVar...)
	}
	return list
}

// templatePlan says what a search asks of the texts of one template: nothing
// (always), or that all tests of one of the alternatives hold.
type templatePlan struct {
	always bool
	alts   []alternative
}

// alternative is an alignment that fits a template: its placeholders are the
// template's from the first on.
type alternative struct {
	first int
	tests []varTest
}

// maxAlternatives bounds the places of one query in one template.
const maxAlternatives = 64

// plan looks for the query in a template; false when it cannot tell.
func (s *searcher) plan(aligned []alignment, text string) (p templatePlan, ok bool) {
	if s.fold && hasForeignFold(bytesOf(text)) {
		return p, false
	}
	data := bytesOf(text)
	for i := range aligned {
		a := &aligned[i]
		for at := 0; at < len(data); at++ {
			k := indexOf(data[at:], a.text, s.fold)
			if k < 0 {
				break
			}
			at += k
			end := at + len(a.text)
			if a.start && at > 0 && predicate.WordByte(data[at-1]) || a.end && end < len(data) && predicate.WordByte(data[end]) {
				continue
			}
			if len(a.tests) == 0 {
				return templatePlan{always: true}, true
			}
			if len(p.alts) >= maxAlternatives {
				return p, false
			}
			p.alts = append(p.alts, alternative{strings.Count(text[:at], string(rune(placeholder))), a.tests})
		}
	}
	return p, true
}

// indexOf finds a text, ignoring the case of ASCII letters with fold: sub is
// then lower-case.
func indexOf(data, sub []byte, fold bool) int {
	if !fold {
		return bytes.Index(data, sub)
	}
	for at := 0; at+len(sub) <= len(data); at++ {
		if equalFold(data[at:at+len(sub)], sub) {
			return at
		}
	}
	return -1
}

func hasForeignFold(data []byte) bool {
	for _, f := range foreignFolds {
		if bytes.Contains(data, f) {
			return true
		}
	}
	return false
}

// searchPlans are the plans of a search for the templates of a block, made as
// pages that have them are searched: a page has few of them.
type searchPlans struct {
	aligned []alignment
	plans   []templatePlan // by code
	made    []bool
	ok      bool // false: the templates cannot tell
}

func (s *searcher) newPlans(templates int) *searchPlans {
	aligned := s.alignments()
	return &searchPlans{aligned: aligned, plans: make([]templatePlan, templates), made: make([]bool, templates), ok: aligned != nil}
}

// make makes the plans of some templates.
func (p *searchPlans) make(s *searcher, known []template, codes []uint32) {
	for _, c := range codes {
		if p.ok && !p.made[c] {
			p.plans[c], p.ok = s.plan(p.aligned, known[c].text)
			p.made[c] = true
		}
	}
}

// run sets the rows of left that the plans let through; false when it cannot
// tell.
func (s *searcher) run(t *templates, v *vector, plans []templatePlan, left, out bitset) (bool, error) {
	asked := false
	for i, c := range t.codes {
		if p := &plans[c]; p.always {
			if row := v.row(i); left.has(row) {
				out.set(row)
			}
		} else if p.alts != nil {
			asked = true
		}
	}
	if !asked {
		return true, nil
	}
	by, at := t.used()
	rows := t.byTemplate(by, at)
	for i := range by {
		if p := &plans[by[i].code]; p.alts == nil {
			continue
		}
		for _, row := range rows[by[i].n : by[i].n+by[i].count] {
			if left.has(v.row(int(row))) {
				by[i].wanted = by[i].count
				break
			}
		}
	}
	inRest, src, err := t.variables(by)
	if err != nil {
		return false, err
	}
	rest, inRestToo := &vector{}, false // whether the rest has the part of a word asked for
	tests := make([]slotTest, 0, 8)
	for i := range by {
		if by[i].wanted == 0 {
			continue
		}
		values := rows[by[i].n : by[i].n+by[i].count]
	alternatives:
		for _, alt := range plans[by[i].code].alts {
			tests = tests[:0]
			for j := range alt.tests {
				test := &alt.tests[j]
				in := &by[i].vars[alt.first+test.slot]
				if s.fold && hasForeignFold(bytesOf(in.prefix)) {
					return false, nil
				}
				mode := test.mode(in, s.fold)
				if mode == testNever {
					continue alternatives
				}
				tests = append(tests, slotTest{test, in, mode, s.fold})
			}
			for j := range tests {
				test, in := tests[j].varTest, tests[j].in
				if in.enc == 0 && rest.offs == nil {
					if rest, err = t.rest(src, inRest); err != nil {
						return false, err
					}
					if s.fold && hasForeignFold(rest.data) {
						return false, nil
					}
					inRestToo = test.how != hasInfix || indexOf(rest.data, test.want, s.fold) >= 0
				}
				if in.enc == 0 && test.how == hasInfix && !inRestToo {
					continue alternatives
				}
				if err := in.decode(chunkReader{mem: t.r.mem}, by[i].count); err != nil {
					return false, err
				}
			}
			passing(tests, values, rest, v, left, out)
		}
	}
	return true, nil
}

// passing sets the rows of the values that pass all tests.
func passing(tests []slotTest, values []uint32, rest, v *vector, left, out bitset) {
next:
	for k, value := range values {
		row := v.row(int(value))
		if !left.has(row) || out.has(row) {
			continue
		}
		for i := range tests {
			if !tests[i].holds(k, rest) {
				continue next
			}
		}
		out.set(row)
	}
}

// byTemplate lists the values of each template of the page; by[i].n says where
// they begin.
func (t *templates) byTemplate(by []slots, at []uint32) []uint32 {
	sum := 0
	for i := range by {
		by[i].n = sum
		sum += by[i].count
	}
	rows := t.r.mem.getCodes(len(t.codes))
	for i, c := range t.codes {
		s := &by[at[c]]
		rows[s.n] = uint32(i)
		s.n++
	}
	for i := range by {
		by[i].n -= by[i].count
	}
	return rows
}

type testMode uint8

const (
	testText testMode = iota
	testNever
	testAlways
	testDigitsPrefix
	testDigitsInfix
)

// slotTest is a varTest of the values of one slot.
type slotTest struct {
	*varTest
	in   *slot
	mode testMode
	fold bool
}

var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()

// newVarTest prepares a test.
func newVarTest(slot int, how how, text string) varTest {
	t := varTest{slot: slot, how: how, want: []byte(text), hex: true}
	for t.head = len(text); t.head > 0 && text[t.head-1] >= '0' && text[t.head-1] <= '9'; t.head-- {
	}
	for i, c := range t.want {
		if _, ok := hexDigit(c); !ok {
			t.hex = false
		}
		if i >= t.head && len(text)-t.head <= 18 {
			t.num = 10*t.num + uint64(c-'0')
		}
	}
	if t.count = len(text) - t.head; t.count <= 18 {
		t.pow = powers[t.count]
	}
	return t
}

// mode chooses how to test a slot of which only the common part is known.
func (t *varTest) mode(in *slot, fold bool) testMode {
	if in.enc == 0 || t.how != hasInfix {
		return testText
	}
	if in.enc != encCounter { // hex digits in lower case, and dashes, which are in no word
		if !t.hex {
			return testNever
		}
		return testText
	}
	// a prefix, which does not end with a digit, and a number
	prefix := bytesOf(in.prefix)
	switch {
	case indexOf(prefix, t.want, fold) >= 0:
		return testAlways
	case t.count == 0, t.count > 18, in.width > 18, t.head > len(prefix):
		return testNever
	case t.head == 0:
		return testDigitsInfix
	case indexOf(prefix[len(prefix)-t.head:], t.want[:t.head], fold) == 0:
		return testDigitsPrefix
	}
	return testNever
}

// holds tests the k-th value.
func (t *slotTest) holds(k int, rest *vector) bool {
	switch t.mode {
	case testAlways:
		return true
	case testNever:
		return false
	case testDigitsPrefix, testDigitsInfix:
		x := uint64(t.in.ints[k])
		if w := t.in.width; w == 0 || x < powers[w] {
			return t.inDigits(x, w)
		}
	}
	var buf [64]byte
	text := t.in.append(buf[:0], k, rest)
	switch t.how {
	case isEqual:
		return len(text) == len(t.want) && t.same(text)
	case hasPrefix:
		return len(text) >= len(t.want) && t.same(text[:len(t.want)])
	case hasSuffix:
		return len(text) >= len(t.want) && t.same(text[len(text)-len(t.want):])
	}
	return indexOf(text, t.want, t.fold) >= 0
}

func (t *slotTest) same(text []byte) bool {
	if t.fold {
		return equalFold(text, t.want)
	}
	return bytes.Equal(text, t.want)
}

// inDigits looks for the digits in those of a number of so many (0: its own).
func (t *slotTest) inDigits(x uint64, digits int) bool {
	if digits == 0 {
		for digits = 1; x >= powers[digits]; digits++ {
		}
	}
	if digits < t.count {
		return false
	}
	if t.mode == testDigitsPrefix {
		return x/powers[digits-t.count] == t.num
	}
	last := t.num % 10
	for range digits - t.count + 1 {
		q := x / 10
		if x-10*q == last && x%t.pow == t.num {
			return true
		}
		x = q
	}
	return false
}

// bytesOf shows a string as bytes, which nobody may change.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
