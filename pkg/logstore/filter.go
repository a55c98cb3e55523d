package logstore

import (
	"bytes"
	"encoding/hex"
	"strings"
	"sync"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// node is a condition compiled for one table. It is shared by the goroutines
// that scan the table's pages.
type node interface {
	// eval sets in out the rows of need that satisfy the condition; out comes
	// empty and stays within need.
	eval(p *page, need, out bitset) error
	// pages returns the pages of a block that may have such rows, nil for all.
	pages(ix *pageIndex) (bitset, error)
	// cost orders the parts of a conjunction: cheap ones first.
	cost() int
}

// compileFilter compiles a condition for a table; nil means every row.
func compileFilter(e predicate.Expr, t *table, spec *model.KeySpec, known leaves) node {
	c := &compiler{t: t, spec: spec, leaves: known}
	return c.expr(e)
}

type compiler struct {
	t      *table
	spec   *model.KeySpec
	leaves leaves
}

// leaves are the compiled tests of a query, which all its tables share.
type leaves map[predicate.Expr]leaf

// leaf returns a compiled test, making it once.
func (c *compiler) leaf(e predicate.Expr, make func() leaf) leaf {
	l, ok := c.leaves[e]
	if !ok {
		l = make()
		c.leaves[e] = l
	}
	return l
}

func (c *compiler) expr(e predicate.Expr) node {
	switch e := e.(type) {
	case nil, predicate.True:
		return constNode(true)
	case predicate.And:
		return c.and(e)
	case predicate.Or:
		parts := make(orNode, 0, len(e))
		for _, p := range e {
			switch n := c.expr(p); n {
			case constNode(true):
				return n
			case constNode(false):
			default:
				parts = append(parts, n)
			}
		}
		if len(parts) == 0 {
			return constNode(false)
		}
		return parts
	case predicate.Not:
		n := c.expr(e.X)
		if k, ok := n.(constNode); ok {
			return !k
		}
		return notNode{n}
	case predicate.Exists:
		return c.field(e.Field, leaf{holds: func(model.Value) bool { return true }, any: true})
	case predicate.Compare:
		return c.field(e.Field, c.leaf(e, func() leaf { return compareLeaf(e) }))
	case predicate.Match:
		return c.field(e.Field, c.leaf(e, func() leaf {
			l := leaf{holds: e.Holds, text: e.MatchText, price: 50, words: regexpWords(e.Pattern(), false),
				match: newMatcher("^(?s:"+e.Pattern()+")$", e.MatchText)}
			l.varParts = partsOf(l.words, nil)
			return l
		}))
	case predicate.Text:
		return c.field(e.Field, c.leaf(e, func() leaf { return textLeaf(e) }))
	case predicate.Correlated:
		return c.correlated(e)
	}
	return constNode(false)
}

func (c *compiler) and(e predicate.And) node {
	var parts andNode
	for _, p := range e {
		switch n := c.expr(p); n {
		case constNode(false):
			return n
		case constNode(true):
		default:
			parts = append(parts, n)
		}
	}
	switch len(parts) {
	case 0:
		return constNode(true)
	case 1:
		return parts[0]
	}
	for i := 1; i < len(parts); i++ { // few: insertion sort, stable
		for j := i; j > 0 && parts[j].cost() < parts[j-1].cost(); j-- {
			parts[j], parts[j-1] = parts[j-1], parts[j]
		}
	}
	return parts
}

type constNode bool

func (n constNode) cost() int { return 0 }
func (n constNode) eval(_ *page, need, out bitset) error {
	if n {
		copy(out, need)
	}
	return nil
}

type andNode []node

func (n andNode) cost() int { return sumCost(n) }
func (n andNode) eval(p *page, need, out bitset) error {
	left := append(bitset(nil), need...)
	for _, part := range n {
		clear(out)
		if left.empty() {
			return nil
		}
		if err := part.eval(p, left, out); err != nil {
			return err
		}
		copy(left, out)
	}
	return nil
}

type orNode []node

func (n orNode) cost() int { return sumCost(n) }
func (n orNode) eval(p *page, need, out bitset) error {
	left := append(bitset(nil), need...)
	got := make(bitset, len(need))
	for _, part := range n {
		if left.empty() {
			return nil
		}
		clear(got)
		if err := part.eval(p, left, got); err != nil {
			return err
		}
		out.or(got)
		left.andNot(got)
	}
	return nil
}

type notNode struct{ x node }

func (n notNode) cost() int { return n.x.cost() }
func (n notNode) eval(p *page, need, out bitset) error {
	if err := n.x.eval(p, need, out); err != nil {
		return err
	}
	for i, w := range need {
		out[i] = w &^ out[i]
	}
	return nil
}

func sumCost(parts []node) int {
	n := 0
	for _, p := range parts {
		n += p.cost()
	}
	return n
}

// leaf is the test of one value, with the shortcuts that its kind allows.
type leaf struct {
	holds func(model.Value) bool
	any   bool                // holds for every value
	text  func(s string) bool // the same as holds of a string value
	find  *searcher           // not nil: the same as text, over many at once
	match *matcher            // likewise
	equal string              // with isEqual: text means "is this"
	isEq  bool
	// filled: holds for every value but the empty text
	filled bool
	price  int
	words  wordQuery // not nil: what the words of a body must be
	// wholeText: words hold for the text of any kind of body; else for strings
	// only, since the elements of an array are tried without their JSON quoting.
	wholeText bool
	// varParts are the parts of words that must be in no variable of a page for its
	// templates to tell.
	varParts []string
	static   bool // find is in templates alone when no variable has one of varParts
	isID     bool // a correlation id: its kind and itself
	idType   string
	idOf     string
}

func compareLeaf(e predicate.Compare) leaf {
	l := leaf{holds: e.Holds, price: 2}
	if e.Op == predicate.Eq && e.Value.Kind() == model.KindString {
		l.equal, l.isEq = e.Value.Str(), true
		l.text = func(s string) bool { return s == l.equal }
		l.words = literalWords(l.equal, true, true)
	}
	if e.Op == predicate.Neq && e.Loose && e.Value == model.String("") {
		l.filled = true
		l.text = func(s string) bool { return s != "" }
	}
	return l
}

func textLeaf(e predicate.Text) leaf {
	l := leaf{holds: func(v model.Value) bool { return e.Holds(v.Text()) }, text: e.Holds, price: 30, wholeText: true}
	if l.find = newSearcher(e); l.find != nil {
		l.price = 10
		l.varParts, l.static = l.find.staticOnly()
	}
	switch e.Mode {
	case predicate.Contains:
		l.words = literalWords(e.Query, false, false)
	case predicate.Word:
		l.words = literalWords(e.Query, true, true)
	case predicate.Prefix:
		l.words = literalWords(e.Query, true, false)
	case predicate.Regexp:
		l.words = regexpWords(e.Query, e.Fold)
		pattern := e.Query
		if e.Fold {
			pattern = "(?i:" + pattern + ")"
		}
		l.match = newMatcher(pattern, e.Holds)
		l.varParts = partsOf(l.words, nil)
	}
	return l
}

// source is one place where a field's value may be: a column, or the stream.
type source struct {
	col    int
	stream *streamTest
	level  bool // the severity column, read as Loki's level
	time   bool
}

// fieldNode tests the first value that a row has of a field. Sources are in the
// order in which they are looked at.
type fieldNode struct {
	leaf
	t        *table
	sources  []source
	memos    []dictMemo // by source
	onlyBody bool       // the field is the body: it has one column of strings
	// inVars are, by part of varParts, the pages of which a variable may have it;
	// nil: not known.
	inVars []bitset
	tmu    sync.Mutex // guards tmemos
	tmemos map[uint64]templateMemo
	plans  *searchPlans // of find; nil: not looked for yet
}

// dictMemo remembers which strings of a dictionary pass.
type dictMemo struct {
	mu   sync.Mutex
	pass []bool
}

func (n *fieldNode) cost() int {
	c := 1
	for _, s := range n.sources {
		switch {
		case s.stream != nil:
		case n.t.schema.cols[max(0, s.col)].intrinsic && n.t.schema.cols[max(0, s.col)].name == colBody:
			c += 1000 * max(1, n.price)
		default:
			c += 10 * max(1, n.price)
		}
	}
	return c
}

func (c *compiler) field(f predicate.Field, l leaf) node {
	sources := fieldSources(f, c.t)
	n := &fieldNode{leaf: l, t: c.t}
	for _, s := range sources {
		if s.stream != nil {
			s.stream.run(c.t, l)
			if !s.stream.some {
				continue
			}
		}
		n.sources = append(n.sources, s)
	}
	if len(n.sources) == 0 {
		return constNode(false)
	}
	if st := n.sources[0].stream; len(n.sources) == 1 && st != nil && (st.all || st.never) {
		return constNode(st.all)
	}
	n.memos = make([]dictMemo, len(n.sources))
	n.onlyBody = f.Scope == predicate.ScopeIntrinsic && f.Name == predicate.Body
	return n
}

// fieldSources lists where a field's value may be, in the order of
// predicate.LogRow.Lookup.
func fieldSources(f predicate.Field, t *table) []source {
	switch f.Scope {
	case predicate.ScopeIntrinsic:
		return intrinsicSources(f.Name, t)
	case predicate.ScopeResource, predicate.ScopeInstrumentation:
		return []source{{col: -1, stream: &streamTest{field: f}}}
	case predicate.ScopeRecord, predicate.ScopeAny:
	default:
		return nil
	}
	out := columnSources(t.schema.byName[f.Name])
	exact := predicate.Field{Name: f.Name}
	any := f.Scope == predicate.ScopeAny // on a stream: the scope's, then the resource's
	if any {
		out = append(out, source{col: -1, stream: &streamTest{field: exact}})
	}
	if !f.Underscored {
		return out
	}
	for _, col := range t.schema.attrs {
		if name := t.schema.cols[col].name; name != f.Name && predicate.Underscore(name) == f.Name {
			out = append(out, source{col: col})
		}
	}
	if any {
		out = append(out, source{col: -1, stream: &streamTest{field: f}})
	}
	return out
}

func columnSources(cols []int) []source {
	out := make([]source, 0, len(cols)+1)
	for _, c := range cols {
		out = append(out, source{col: c})
	}
	return out
}

func intrinsicSources(name string, t *table) []source {
	switch name {
	case predicate.Body:
		return columnSources(t.schema.intr[colBody])
	case predicate.Level:
		return []source{{col: t.schema.intrinsicCol(colSeverity), level: true}}
	case predicate.Time:
		return []source{{col: t.schema.intrinsicCol(colTime), time: true}}
	case predicate.Severity:
		return columnSources(t.schema.intr[colSeverity])
	case predicate.SeverityText:
		return columnSources(t.schema.intr[colSevText])
	case predicate.EventName:
		return columnSources(t.schema.intr[colEvent])
	case predicate.Flags:
		return columnSources(t.schema.intr[colFlags])
	case predicate.TraceID:
		return columnSources(t.schema.intr[colTrace])
	case predicate.SpanID:
		return columnSources(t.schema.intr[colSpan])
	}
	return nil
}

func (n *fieldNode) eval(p *page, need, out bitset) error {
	left := need
	for i := range n.sources {
		s := &n.sources[i]
		if left.empty() {
			return nil
		}
		if i < len(n.sources)-1 && i == 0 {
			left = append(bitset(nil), need...)
		}
		var err error
		switch {
		case s.stream != nil:
			err = n.evalStream(p, s.stream, left, out, i < len(n.sources)-1)
		case s.level:
			err = n.evalLevel(p, s, left, out)
		case s.time:
			err = n.evalTime(p, left, out)
		default:
			err = n.evalColumn(p, i, left, out, i < len(n.sources)-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// evalStream tests rows by their stream; with more, rows decided leave left.
func (n *fieldNode) evalStream(p *page, s *streamTest, left, out bitset, more bool) error {
	ords, err := p.streamOf()
	if err != nil {
		return err
	}
	if ords == nil {
		if p.streamLo >= len(s.has) {
			return errShort
		}
		if s.has[p.streamLo] {
			if s.pass[p.streamLo] {
				out.or(left)
			}
			if more {
				clear(left)
			}
		}
		return nil
	}
	left.each(func(row int) {
		st := ords[row]
		if st >= uint64(len(s.has)) {
			err = errShort
			return
		}
		if s.pass[st] {
			out.set(row)
		}
		if more && s.has[st] {
			left.unset(row)
		}
	})
	return err
}

func (n *fieldNode) evalLevel(p *page, s *source, left, out bitset) error {
	v, err := p.vector(s.col)
	if err != nil {
		return err
	}
	var table [256]bool
	for i := range table {
		table[i] = n.holds(model.String(model.SeverityNumber(i).Level()))
	}
	if table[0] {
		out.or(left)
	}
	if v == nil {
		return nil
	}
	for i := 0; i < v.n; i++ {
		if row := v.row(i); left.has(row) {
			if table[uint8(v.nums[i])] {
				out.set(row)
			} else {
				out.unset(row)
			}
		}
	}
	return nil
}

func (n *fieldNode) evalTime(p *page, left, out bitset) error {
	times, err := p.time()
	if err != nil {
		return err
	}
	left.each(func(row int) {
		if n.holds(model.Int(times[row])) {
			out.set(row)
		}
	})
	return nil
}

// evalColumn tests the values of one column.
func (n *fieldNode) evalColumn(p *page, si int, left, out bitset, more bool) error {
	v, err := p.raw(n.sources[si].col)
	if err != nil || v == nil {
		return err
	}
	if n.any {
		has := make(bitset, len(left))
		v.present(has)
		has.and(left)
		out.or(has)
	} else if n.filled && v.form == formNums { // numbers have a text
		eachValue(v, left, func(_, row int) { out.set(row) })
	} else if n.isEq && v.kind == model.KindString && v.equal(n.equal, left, out) {
		// told without making texts
	} else if done, err := n.testTemplates(p, v, si, left, out); err != nil {
		return err
	} else if !done {
		if err := v.expand(); err != nil {
			return err
		}
		n.test(v, si, left, out)
	}
	if more {
		has := make(bitset, len(left))
		v.present(has)
		left.andNot(has)
	}
	return nil
}

func (n *fieldNode) test(v *vector, si int, left, out bitset) {
	if v.form == formText && v.kind == model.KindString {
		if n.find != nil && n.find.scan(v, left, out) {
			return
		}
		if n.match != nil {
			n.match.scan(v, left, out)
			return
		}
		if n.text != nil {
			eachValue(v, left, func(i, row int) {
				if n.text(view(v.data[v.offs[i]:v.offs[i+1]])) {
					out.set(row)
				}
			})
			return
		}
	}
	if v.form == formFixed && n.isEq {
		want, err := hex.DecodeString(n.equal)
		if err != nil || len(want) != v.size || strings.ToLower(n.equal) != n.equal {
			return
		}
		eachValue(v, left, func(i, row int) {
			if bytes.Equal(v.fixed(i), want) {
				out.set(row)
			}
		})
		return
	}
	if v.form == formDict {
		pass := n.memos[si].dict(v, n.holds)
		eachValue(v, left, func(i, row int) {
			if pass[v.codes[i]] {
				out.set(row)
			}
		})
		return
	}
	eachValue(v, left, func(i, row int) {
		if n.holds(v.value(i)) {
			out.set(row)
		}
	})
}

// eachValue yields the values of the rows in need.
func eachValue(v *vector, need bitset, yield func(i, row int)) {
	if v.rows == nil {
		need.each(func(row int) {
			if row < v.n {
				yield(row, row)
			}
		})
		return
	}
	for i, r := range v.rows[:v.n] {
		if need.has(int(r)) {
			yield(i, int(r))
		}
	}
}

// dict returns which strings of a vector's dictionary pass, trying each once.
// Dictionaries of a table's column only grow.
func (m *dictMemo) dict(v *vector, holds func(model.Value) bool) []bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.pass); i < len(v.dict); i++ {
		m.pass = append(m.pass, holds(model.Raw(v.kind, 0, v.dict[i])))
	}
	return m.pass
}

// correlated compiles a correlation id: the trace id column, the attributes
// that carry ids, and the streams.
func (c *compiler) correlated(e predicate.Correlated) node {
	var parts orNode
	if e.Kind == "" || e.Kind == model.KeyTrace {
		if col := c.t.schema.intrinsicCol(colTrace); col >= 0 {
			parts = append(parts, c.field(predicate.Intrinsic(predicate.TraceID),
				compareLeaf(predicate.Compare{Field: predicate.Intrinsic(predicate.TraceID), Op: predicate.Eq, Value: model.String(e.ID)})))
		}
	}
	if c.spec == nil {
		return orOf(parts)
	}
	for _, name := range sortedNames(c.t.schema.byName) {
		cols := c.t.schema.byName[name]
		kind, ok := c.spec.Kind(name)
		if !ok || e.Kind != "" && kind != e.Kind {
			continue
		}
		l := leaf{holds: func(v model.Value) bool { return carries(v, kind, e.ID) }, price: 5, idType: kind, idOf: e.ID, isID: e.ID != ""}
		l.text = func(s string) bool { return s != "" && canonical(kind, s) == e.ID }
		n := &fieldNode{leaf: l, t: c.t, sources: columnSources(cols)}
		n.memos = make([]dictMemo, len(n.sources))
		parts = append(parts, n)
	}
	st := &streamTest{has: make([]bool, len(c.t.streams)), pass: make([]bool, len(c.t.streams))}
	for i := range c.t.streams {
		row := predicate.LogRow{LogRow: &model.LogRow{Resource: c.t.streams[i].resource, Scope: c.t.streams[i].scope}, Spec: c.spec}
		st.pass[i] = row.Correlated(e.Kind, e.ID)
		st.has[i] = st.pass[i]
		st.some = st.some || st.pass[i]
	}
	if st.some {
		parts = append(parts, &fieldNode{t: c.t, sources: []source{{col: -1, stream: st}}, memos: make([]dictMemo, 1)})
	}
	return orOf(parts)
}

func orOf(parts orNode) node {
	if len(parts) == 0 {
		return constNode(false)
	}
	return parts
}

func carries(v model.Value, kind, id string) bool {
	found := false
	model.EachID(v, func(text string) bool {
		found = model.Canonical(kind, text) == id
		return !found
	})
	return found
}
