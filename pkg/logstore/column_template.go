package logstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"
)

// Lines of one origin differ in their numbers. A template is a text whose
// variables, the words that have a digit in them, are each replaced by one byte.
// A block keeps the templates of a column once, a page for each value which of
// them, and the variables slot by slot: numbers as integers, the others as text.
// A search for something without digits is then answered by the templates alone.
const (
	placeholder = 1
	// maxTemplates bounds the templates of a column in a block; at most every
	// maxNewTemplates-th value of a page may bring a new one: texts without a
	// common shape are kept as they are.
	maxTemplates    = 16_384
	maxNewTemplates = 2
	// minTemplated is the average length below which it is not tried.
	minTemplated = 24
	// maxFailed is after how many pages without a shape no more are tried.
	maxFailed = 3
	// minSlot is how many values a slot of its own needs.
	minSlot = 6
)

// templateSet is the templates of a column of a block being written.
type templateSet struct {
	texts  []string
	codes  map[string]uint32
	failed int // pages without a common shape, one after the other

	// of the page being encoded
	text  []byte
	vars  [][2]uint32 // bytes of the vector's data
	first []uint32    // by value: its first variable
	of    []uint32    // by value: its template
	rows  []uint32    // values by template
	slot  vector
	rest  vector
}

// appendTemplates encodes texts by template; false when they have no common
// shape.
func (e *encoder) appendTemplates(dst []byte, v *vector, t *templateSet) ([]byte, bool) {
	if t == nil || t.failed >= maxFailed || v.n < 16 || len(v.data) < minTemplated*v.n {
		return dst, false
	}
	if known := len(t.texts); !t.cut(v) {
		for _, text := range t.texts[known:] {
			delete(t.codes, text)
		}
		t.texts = t.texts[:known]
		t.failed++
		return dst, false
	}
	t.failed = 0
	dst = e.appendCodes(dst, t.of)
	if !e.joined {
		sum := crc32.Checksum([]byte{encLines | e.sparse}, castagnoli)
		dst = binary.LittleEndian.AppendUint32(dst, crc32.Update(sum, castagnoli, dst[e.from+1:]))
	}
	// values sorted by template
	start := make([]uint32, len(t.texts)+1)
	for _, c := range t.of {
		start[c+1]++
	}
	for i := 1; i < len(start); i++ {
		start[i] += start[i-1]
	}
	t.rows = append(t.rows[:0], make([]uint32, v.n)...)
	at := append([]uint32(nil), start...)
	for i, c := range t.of {
		t.rows[at[c]] = uint32(i)
		at[c]++
	}
	resetText(&t.rest)
	for c := range t.texts {
		rows := t.rows[start[c]:start[c+1]]
		if len(rows) == 0 {
			continue
		}
		end := len(t.vars)
		if i := int(rows[0]); i+1 < v.n {
			end = int(t.first[i+1])
		}
		for slot := range end - int(t.first[rows[0]]) {
			dst = e.appendSlot(dst, v, t, rows, slot)
		}
	}
	return e.appendRest(dst, &t.rest), true
}

func resetText(v *vector) {
	v.form, v.n, v.data, v.offs = formText, 0, v.data[:0], append(v.offs[:0], 0)
}

func addText(v *vector, s []byte) {
	v.data = append(v.data, s...)
	v.offs = append(v.offs, uint32(len(v.data)))
	v.n++
}

// cut finds the template and the variables of every value.
func (t *templateSet) cut(v *vector) bool {
	if t.codes == nil {
		t.codes = map[string]uint32{}
	}
	t.vars, t.first, t.of = t.vars[:0], t.first[:0], t.of[:0]
	fresh := 0
	for i := range v.n {
		t.first = append(t.first, uint32(len(t.vars)))
		if !t.cutOne(v.data, int(v.offs[i]), int(v.offs[i+1])) {
			return false
		}
		code, ok := t.codes[string(t.text)]
		if !ok {
			if fresh++; fresh > 16+v.n/maxNewTemplates || len(t.texts) >= maxTemplates || len(t.text) > 4096 {
				return false
			}
			code = uint32(len(t.texts))
			t.texts = append(t.texts, string(t.text))
			t.codes[t.texts[code]] = code
		}
		t.of = append(t.of, code)
	}
	return true
}

// cutOne cuts the text in data[from:to]; false when it has the placeholder.
func (t *templateSet) cutOne(data []byte, from, to int) bool {
	t.text = t.text[:0]
	static := from
	for i := from; i < to; {
		c := byteClass[data[i]]
		if c == 0 {
			if data[i] == placeholder {
				return false
			}
			i++
			continue
		}
		word, seen := i, uint16(0)
		for {
			seen |= c
			if i++; i == to {
				break
			}
			if c = byteClass[data[i]]; c == 0 {
				break
			}
		}
		if seen&classDigit != 0 {
			t.text = append(append(t.text, data[static:word]...), placeholder)
			t.vars = append(t.vars, [2]uint32{uint32(word), uint32(i)})
			static = i
		}
	}
	t.text = append(t.text, data[static:to]...)
	return true
}

// appendSlot encodes one variable of all values of a template: in a shape, or
// into the rest.
func (e *encoder) appendSlot(dst []byte, v *vector, t *templateSet, rows []uint32, slot int) []byte {
	to := &t.rest
	if len(rows) >= minSlot {
		resetText(&t.slot)
		to = &t.slot
	}
	for _, i := range rows {
		p := t.vars[int(t.first[i])+slot]
		addText(to, v.data[p[0]:p[1]])
	}
	if to == &t.rest {
		return dst
	}
	enc, out, ok := e.shaped(e.slotBuf[:0], &t.slot)
	if !ok {
		for i := range t.slot.n {
			addText(&t.rest, t.slot.data[t.slot.offs[i]:t.slot.offs[i+1]])
		}
		return append(dst, 0)
	}
	e.slotBuf = out
	dst = binary.AppendUvarint(append(dst, enc), uint64(len(out)))
	return append(dst, out...)
}

// appendRest encodes the variables without a shape.
func (e *encoder) appendRest(dst []byte, v *vector) []byte {
	lens := make([]int64, v.n)
	for i := range lens {
		lens[i] = int64(v.offs[i+1] - v.offs[i])
	}
	dst = appendInts(dst, lens)
	if len(v.data) < plainBelow {
		return append(append(dst, 0), v.data...)
	}
	e.buf = e.zstd.EncodeAll(v.data, e.buf[:0])
	return append(append(dst, 1), e.buf...)
}

// template is one of a block's templates: the texts between its variables.
type template struct {
	text  string
	parts []string
}

func newTemplates(texts []string) []template {
	out := make([]template, len(texts))
	for i, t := range texts {
		out[i] = template{t, strings.Split(t, string(rune(placeholder)))}
	}
	return out
}

// templates is what templated texts are before somebody asks for the texts.
type templates struct {
	r     chunkReader
	known []template
	codes []uint32
	local []uint32 // the different codes
	src   []byte   // the variables, encoded
	// load reads the variables when they were left on disk; nil: src has them.
	load func() ([]byte, error)
}

// templated reads the codes; the variables are decoded when texts are made.
func (r chunkReader) templated(v *vector, enc byte, src []byte, known []template) (err error) {
	t := &templates{r: r, known: known}
	if t.codes, t.local, t.src, err = r.codes(src, v.n, len(known)); err != nil {
		return err
	}
	if enc == encLines {
		if len(t.src) < crcSize {
			return errShort
		}
		t.src = t.src[crcSize:] // the chunk's own has been verified
	}
	v.tmpl = t
	return nil
}

// head reads the codes of a chunk of which only the beginning is there, and how
// much they take; nil when that is not enough, or damaged.
func (r chunkReader) head(src []byte, key columnKey, rows int, known []template) (v *vector, size int) {
	if len(src) == 0 || src[0]&^encSparse != encLines {
		return nil, 0
	}
	v = &vector{form: formText, kind: key.kind, n: rows}
	rest := src[1:]
	var err error
	if src[0]&encSparse != 0 {
		if v.rows, rest, err = readPresence(rest, rows); err != nil {
			return nil, 0
		}
		v.n = len(v.rows)
	}
	t := &templates{r: r, known: known}
	if t.codes, t.local, rest, err = r.codes(rest, v.n, len(known)); err != nil || len(rest) < crcSize {
		return nil, 0
	}
	at := len(src) - len(rest)
	if crc32.Checksum(src[:at], castagnoli) != binary.LittleEndian.Uint32(rest) || checkForm(key, v) != nil {
		return nil, 0
	}
	v.tmpl = t
	return v, at + crcSize
}

// slots are the variables of the values of one template.
type slots struct {
	code   uint32
	count  int
	wanted int // of count: how many texts are asked for
	n      int // values passed so far
	vars   []slot
}

// slot is one variable of the values of a template: in the rest, a counter, or
// packed. Its values are decoded when they are asked for.
type slot struct {
	enc    byte // 0: in the rest
	ready  bool // ints are decoded
	width  int  // of a counter
	rest   int  // the first of its values there
	prefix string
	ints   []int64
	raw    []byte // packed, or what ints are decoded from
	size   int    // of one packed
}

// open reads what the values have in common.
func (s *slot) open(enc byte, body []byte, count int) (err error) {
	s.enc, s.raw = enc, body
	switch enc {
	case encCounter:
		s.prefix, s.width, s.raw, err = counterHead(body)
		return err
	case encHex:
		if s.size, s.raw, err = hexHead(body); err != nil {
			return err
		}
	case encUUID:
		s.size = 16
	default:
		return errShort
	}
	if len(s.raw) != s.size*count {
		return errShort
	}
	return nil
}

// decode makes the values of a counter.
func (s *slot) decode(r chunkReader, count int) (err error) {
	if s.enc != encCounter || s.ready {
		return nil
	}
	s.ints, err = r.positive(s.raw, count)
	s.ready = true
	return err
}

// append appends the k-th value, which is decoded.
func (s *slot) append(dst []byte, k int, rest *vector) []byte {
	switch s.enc {
	case 0:
		at := s.rest + k
		return append(dst, rest.data[rest.offs[at]:rest.offs[at+1]]...)
	case encCounter:
		return appendCounter(dst, s.prefix, s.width, s.ints[k])
	}
	return appendUnpacked(dst, s.raw[k*s.size:(k+1)*s.size], s.enc == encUUID)
}

// textSize bounds the length of a value that is not in the rest.
func (s *slot) textSize() int {
	switch s.enc {
	case encCounter:
		return len(s.prefix) + 19
	case encUUID:
		return 36
	}
	return 2 * s.size
}

// build makes the texts of the values whose rows are in only (nil: all) into v.
func (t *templates) build(v *vector, only bitset) error {
	by, at := t.used()
	for i, c := range t.codes {
		if only == nil || only.has(v.row(i)) {
			by[at[c]].wanted++
		}
	}
	inRest, src, err := t.variables(by)
	if err != nil {
		return err
	}
	size, rest := 0, &vector{}
	for i := range by {
		s := &by[i]
		if s.wanted == 0 {
			continue
		}
		size += s.wanted * len(t.known[s.code].text)
		for j := range s.vars {
			if s.vars[j].enc == 0 {
				if rest.offs == nil {
					if rest, err = t.rest(src, inRest); err != nil {
						return err
					}
					size += len(rest.data)
				}
				continue
			}
			size += s.wanted * s.vars[j].textSize()
			if err := s.vars[j].decode(chunkReader{mem: t.r.mem}, s.count); err != nil {
				return err
			}
		}
	}
	if size > maxPageText {
		return errShort
	}
	v.room(t.r.mem, size)
	for i, c := range t.codes {
		s := &by[at[c]]
		k := s.n
		s.n++
		if only == nil || only.has(v.row(i)) {
			v.data = s.line(v.data, k, t.known[c].parts, rest)
		}
		v.offs[i+1] = uint32(len(v.data))
	}
	return nil
}

// used lists the templates of the page by code, and where each is in the list.
func (t *templates) used() (by []slots, at []uint32) {
	met := t.r.mem.getWords((len(t.known) + 63) / 64)
	clear(met)
	for _, c := range t.local {
		met[c>>6] |= 1 << (c & 63)
	}
	by = t.r.mem.getTemplates(len(t.local))
	at = t.r.mem.getCodes(len(t.known))
	n := 0
	bitset(met).each(func(c int) {
		by[n].code = uint32(c)
		at[c] = uint32(n)
		n++
	})
	by = by[:n]
	for _, c := range t.codes {
		by[at[c]].count++
	}
	return by, at
}

// line appends the k-th value of a template.
func (s *slots) line(dst []byte, k int, parts []string, rest *vector) []byte {
	dst = append(dst, parts[0]...)
	for i := range s.vars {
		dst = append(s.vars[i].append(dst, k, rest), parts[i+1]...)
	}
	return dst
}

// variables finds the slots of the templates that are wanted, and what lies
// behind them all: the rest, of so many values.
func (t *templates) variables(by []slots) (inRest int, src []byte, err error) {
	if t.load != nil {
		if t.src, err = t.load(); err != nil {
			return 0, nil, err
		}
		t.load = nil
	}
	src = t.src
	total := 0
	for i := range by {
		total += len(t.known[by[i].code].parts) - 1
	}
	all := t.r.mem.getSlots(total)
	for i := range by {
		s := &by[i]
		k := len(t.known[s.code].parts) - 1
		s.vars, all = all[:k:k], all[k:]
		for j := range s.vars {
			enc := byte(0)
			if s.count >= minSlot {
				if len(src) == 0 {
					return 0, nil, errShort
				}
				enc, src = src[0], src[1:]
			}
			if enc == 0 {
				s.vars[j].rest = inRest
				inRest += s.count
				continue
			}
			n, body, err := readUvarint(src, len(src))
			if err != nil || n > len(body) {
				return 0, nil, errShort
			}
			src = body[n:]
			if s.wanted == 0 {
				continue
			}
			if err := s.vars[j].open(enc, body[:n], s.count); err != nil {
				return 0, nil, err
			}
		}
	}
	return inRest, src, nil
}

// rest decodes the values without a shape.
func (t *templates) rest(src []byte, n int) (*vector, error) {
	return chunkReader{mem: t.r.mem}.rest(src, n)
}

func (r chunkReader) rest(src []byte, n int) (*vector, error) {
	v := &vector{form: formText, n: n}
	lens, src, err := readInts(asInts(r.mem.getWords(n)), src, n)
	if err != nil {
		return nil, err
	}
	if v.offs, err = r.offsets(lens); err != nil || len(src) == 0 {
		return nil, errShort
	}
	size := int(v.offs[n])
	if src[0] == 0 {
		v.data = src[1:]
	} else {
		z, err := decoder()
		if err != nil {
			return nil, err
		}
		src = src[1:]
		if v.data, err = z.DecodeAll(src, r.mem.getBytes(min(size, len(src)<<8+1024))[:0]); err != nil {
			return nil, errShort
		}
	}
	if len(v.data) != size {
		return nil, errShort
	}
	return v, nil
}

// offsets adds lengths up.
func (r chunkReader) offsets(lens []int64) ([]uint32, error) {
	offs := r.mem.getCodes(len(lens) + 1)
	offs[0] = 0
	at := int64(0)
	for i, n := range lens {
		if n < 0 || n > maxPageText || at+n > math.MaxUint32 {
			return nil, errShort
		}
		at += n
		offs[i+1] = uint32(at)
	}
	return offs, nil
}

// templateMemo remembers which templates of a block a regular expression may be
// in.
type templateMemo struct {
	pass []bool
	ok   bool // the templates tell
}

// staticOnly reports whether a search can be found in templates alone as long as
// no variable of the page has a part of it, and which parts: the words at the
// open ends of the query, folded. ok is false when variables must be looked at.
func (s *searcher) staticOnly() (parts []string, ok bool) {
	q := string(s.query)
	for i := range len(q) {
		if byteClass[q[i]]&(classDigit|classForeign) != 0 || q[i] == placeholder {
			return nil, false
		}
	}
	from, to := 0, len(q)
	for from < len(q) && byteClass[q[from]] != 0 {
		from++
	}
	for to > 0 && byteClass[q[to-1]] != 0 {
		to--
	}
	if !s.bounded && from > 0 {
		parts = append(parts, foldWord(q[:from]))
	}
	if !s.end && to < len(q) && (from <= to || s.bounded) {
		parts = append(parts, foldWord(q[to:]))
	}
	for _, p := range parts {
		if len(p) < minPart || len(p) > maxTerm {
			return nil, false
		}
	}
	return parts, true
}

// mayMatch reports whether a text of a template can have the words asked for.
// Parts of words that inVars names may be in a variable.
func mayMatch(q wordQuery, folded []byte, inVars func(part string) bool) bool {
	switch q := q.(type) {
	case allWords:
		for _, p := range q {
			if !mayMatch(p, folded, inVars) {
				return false
			}
		}
	case anyWords:
		for _, p := range q {
			if p == nil || mayMatch(p, folded, inVars) {
				return true
			}
		}
		return false
	case wholeWord:
		return hasDigit(string(q)) || bytes.Contains(folded, []byte(q))
	case wordPart:
		return inVars(q.text) || bytes.Contains(folded, []byte(q.text))
	}
	return true
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// partsOf collects the parts of words that a query asks for.
func partsOf(q wordQuery, into []string) []string {
	switch q := q.(type) {
	case allWords:
		for _, p := range q {
			into = partsOf(p, into)
		}
	case anyWords:
		for _, p := range q {
			into = partsOf(p, into)
		}
	case wordPart:
		into = append(into, q.text)
	}
	return into
}

// foldTemplate folds the words of a template.
func foldTemplate(text string) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		if byteClass[text[i]] == 0 {
			out = append(out, text[i])
			i++
			continue
		}
		from := i
		for i < len(text) && byteClass[text[i]] != 0 {
			i++
		}
		out = appendFolded(out, text[from:i])
	}
	return out
}
