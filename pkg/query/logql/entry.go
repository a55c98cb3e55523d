package logql

import (
	"slices"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// The values of __error__.
const (
	errJSON        = "JSONParserErr"
	errLogfmt      = "LogfmtParserErr"
	errLabelFilter = "LabelFilterErr"
	errSample      = "SampleExtractionErr"
	errTemplate    = "TemplateFormatErr"
)

// maxParsed bounds the labels that parsers make of one line.
const maxParsed = 512

// entry is one record on its way through a pipeline. One entry serves all rows
// of a pipeline, one after the other. Strings in it belong to the row.
type entry struct {
	row  *model.LogRow
	line string
	// made are the labels that parsers and label_format made, names unique; a
	// value may be empty.
	made []Label
	// dropped are names removed; kept, when keeping, the only names that remain
	// of what the record brought.
	dropped []string
	kept    []string
	keeping bool

	errKind, errDetails string

	// want are the labels that anybody reads; nil means all.
	want map[string]bool

	names   interner
	streams streamCache
	scratch []byte
}

// reset starts the next row.
func (e *entry) reset(row *model.LogRow) {
	e.row = row
	e.line = row.Body.Text()
	e.made = e.made[:0]
	e.dropped = e.dropped[:0]
	e.kept = e.kept[:0]
	e.keeping = false
	e.errKind, e.errDetails = "", ""
}

// fail marks the entry with its first error.
func (e *entry) fail(kind, details string) {
	if e.errKind == "" {
		e.errKind, e.errDetails = kind, details
	}
}

func (e *entry) failed() bool { return e.errKind != "" }

// get returns a label's value, "" when absent.
func (e *entry) get(r *labelRef) string {
	v, made := e.madeValue(r.under)
	if made {
		return v
	}
	if !e.shows(r.under) {
		return ""
	}
	b, _ := r.lookup(e.row)
	return b.Text()
}

// madeValue returns what the pipeline made of a name.
func (e *entry) madeValue(under string) (v string, ok bool) {
	if i := e.madeIndex(under); i >= 0 {
		return e.made[i].Value, true
	}
	switch under {
	case labelError:
		return e.errKind, true
	case labelDetails:
		return e.errDetails, true
	}
	return "", false
}

func (e *entry) madeIndex(under string) int {
	for i := range e.made {
		if e.made[i].Name == under {
			return i
		}
	}
	return -1
}

// shows reports whether what the record brought under a name is still there.
func (e *entry) shows(under string) bool {
	return !slices.Contains(e.dropped, under) && (!e.keeping || slices.Contains(e.kept, under))
}

// matches tries a matcher. A regular expression also matches an array that
// has a matching element, as predicate.Match does.
func (e *entry) matches(m *Matcher) bool {
	if m.re.re != nil && e.shows(m.ref.under) {
		if _, made := e.madeValue(m.ref.under); !made {
			if v, _ := m.ref.lookup(e.row); v.Kind() == model.KindArray {
				return m.matchArray(v)
			}
		}
	}
	return m.Matches(e.get(&m.ref))
}

func (m *Matcher) matchArray(v model.Value) bool {
	found := m.re.re.MatchString(v.Text())
	for _, x := range v.Elements() {
		found = found || m.re.re.MatchString(x.Text())
	}
	return found == (m.Op == "=~")
}

// set gives a label a value, whoever had it.
func (e *entry) set(under, value string) {
	if i := e.madeIndex(under); i >= 0 {
		e.made[i].Value = value
		return
	}
	e.made = append(e.made, Label{under, value})
}

// extract adds a label that a parser found. What the record brought keeps its
// name: the parsed one is then called name_extracted, unless it says the same.
func (e *entry) extract(under, value string) {
	under, ok := e.parsedName(under, value)
	if !ok {
		return
	}
	if i := e.madeIndex(under); i >= 0 && e.made[i].Value != "" {
		return // the first of a name counts
	}
	e.set(under, value)
}

// parsedName is what a parsed label may be called, if it may be.
func (e *entry) parsedName(under, value string) (string, bool) {
	if len(e.made) >= maxParsed || under == "" || !e.wants(under) {
		return "", false
	}
	if v, ok := brought(e.row, under); ok {
		if v == value && e.shows(under) {
			return "", false
		}
		under = e.names.concat(under, "_extracted")
	}
	return under, true
}

// lacks notes that a parser was asked for a label and found none: it is empty,
// unless there is one of the name.
func (e *entry) lacks(under string) {
	if len(e.made) >= maxParsed || !e.wants(under) {
		return
	}
	if _, ok := e.madeValue(under); ok {
		return
	}
	if _, ok := brought(e.row, under); !ok {
		e.made = append(e.made, Label{under, ""})
	}
}

func (e *entry) wants(under string) bool { return e.want == nil || e.want[under] }

// brought returns the value of a label that a record shows before any parser:
// an attribute, or one of the intrinsic facts that are listed with its labels.
func brought(row *model.LogRow, under string) (string, bool) {
	if v, ok := anyAttr(row, under, true); ok {
		return v.Text(), true
	}
	switch under {
	case labelLevel:
		return row.Severity.Level(), true
	case labelService:
		return unknownService, true
	case "level", "severity":
		return "", false // only aliases: not listed
	}
	if in, ok := intrinsicLabels[under]; ok {
		r := labelRef{chain: []predicate.Field{in.field}}
		if v, ok := r.lookup(row); ok {
			return v.Text(), true
		}
	}
	return "", false
}

// keep leaves only the labels that match an item; drop removes those.
func (e *entry) keep(items []LabelItem) {
	var names []string
	for _, it := range items {
		under := predicate.Underscore(it.Name)
		if it.Matcher == nil || e.matches(it.Matcher) {
			names = append(names, under)
		}
	}
	e.made = slices.DeleteFunc(e.made, func(l Label) bool { return !slices.Contains(names, l.Name) })
	if e.keeping {
		e.kept = slices.DeleteFunc(e.kept, func(k string) bool { return !slices.Contains(names, k) })
		return
	}
	e.keeping, e.kept = true, append(e.kept, names...)
}

func (e *entry) drop(items []LabelItem) {
	for _, it := range items {
		if it.Matcher != nil && !e.matches(it.Matcher) {
			continue
		}
		e.remove(predicate.Underscore(it.Name))
	}
}

// remove takes a label away, whoever brought it.
func (e *entry) remove(under string) {
	switch under {
	case labelError:
		e.errKind = ""
	case labelDetails:
		e.errDetails = ""
	}
	e.made = slices.DeleteFunc(e.made, func(l Label) bool { return l.Name == under })
	e.dropped = append(e.dropped, under)
}

// touched reports whether the pipeline may have changed what the record brought.
func (e *entry) touched() bool {
	return e.keeping || len(e.dropped) > 0 || len(e.made) > 0
}

// streamLabels returns what remains of the resource's labels; shared, not to be
// changed.
func (e *entry) streamLabels() Labels {
	all := e.streams.of(e.row)
	if !e.touched() {
		return all
	}
	same := true
	for i := range all {
		if _, made := e.madeValue(all[i].Name); made || !e.shows(all[i].Name) {
			same = false
			break
		}
	}
	if same {
		return all
	}
	out := make(Labels, 0, len(all))
	for _, l := range all {
		if _, made := e.madeValue(l.Name); !made && e.shows(l.Name) {
			out = append(out, l)
		}
	}
	return out
}

// metadata returns the structured metadata that remains.
func (e *entry) metadata() Labels {
	all := Metadata(e.row)
	if !e.touched() {
		return all
	}
	return slices.DeleteFunc(all, func(l Label) bool {
		_, made := e.madeValue(l.Name)
		return made || !e.shows(l.Name)
	})
}

// parsed returns the labels that the pipeline made.
func (e *entry) parsed() Labels {
	if len(e.made) == 0 && !e.failed() {
		return nil
	}
	out := slices.Clone(e.made)
	if e.failed() {
		out = append(out, Label{labelError, e.errKind}, Label{labelDetails, e.errDetails})
	}
	for i := range out {
		out[i].Value = strings.Clone(out[i].Value)
	}
	return sortUnique(out)
}

// seriesLabels are the labels that tell series of a range aggregation apart
// when it has no grouping: see the package's doc. except is the unwrapped label.
func (e *entry) seriesLabels(except string) Labels {
	sets := []Labels{e.streamLabels()}
	if e.keeping {
		sets = append(sets, e.metadata())
	}
	if p := e.parsed(); len(p) > 0 {
		sets = append(sets, p.only([]string{labelError, labelDetails}, true))
	}
	if len(sets) == 1 && (except == "" || sets[0].Get(except) == "") {
		return sets[0]
	}
	out := sortLabels(Merge(sets...))
	if except != "" {
		out = out.only([]string{except}, true)
	}
	return out
}

// StreamLabels returns the labels that make a record's stream: its resource's
// attributes in Prometheus spelling, and service_name.
func StreamLabels(r *model.Resource) Labels {
	var attrs model.Attrs
	if r != nil {
		attrs = r.Attrs
	}
	out := make(Labels, 0, len(attrs)+1)
	for i := range attrs {
		out = append(out, Label{labelName(attrs[i].Key), attrs[i].Value.Text()})
	}
	out = append(out, Label{labelService, unknownService})
	return sortLabels(out)
}

// Metadata returns a record's structured metadata: its own and its scope's
// attributes in Prometheus spelling, trace_id, span_id, severity and level.
func Metadata(row *model.LogRow) Labels {
	out := make(Labels, 0, len(row.Attrs)+6)
	if !row.TraceID.IsZero() {
		out = append(out, Label{"trace_id", row.TraceID.String()})
	}
	if !row.SpanID.IsZero() {
		out = append(out, Label{"span_id", row.SpanID.String()})
	}
	out = append(out, Label{labelLevel, row.Severity.Level()})
	for i := range row.Attrs {
		out = append(out, Label{labelName(row.Attrs[i].Key), row.Attrs[i].Value.Text()})
	}
	if s := row.Scope; s != nil {
		for i := range s.Attrs {
			out = append(out, Label{labelName(s.Attrs[i].Key), s.Attrs[i].Value.Text()})
		}
		out = append(out, Label{"scope_name", s.Name}, Label{"scope_version", s.Version})
	}
	if row.Severity != 0 {
		out = append(out, Label{"severity_number", model.Int(int64(row.Severity)).Text()})
	}
	if row.Flags != 0 {
		out = append(out, Label{"flags", model.Int(int64(row.Flags)).Text()})
	}
	out = append(out, Label{"severity_text", row.SeverityText}, Label{"event_name", row.EventName})
	return sortLabels(out)
}

// labelName spells an attribute's name as a label.
func labelName(key string) string {
	name := predicate.Underscore(key)
	if name != "" && isDigit(name[0]) {
		name = "_" + name
	}
	return name
}

// streamCache remembers the stream labels of resources, which rows share.
type streamCache struct {
	last  *model.Resource
	lastL Labels
	byRes map[*model.Resource]Labels
}

// maxStreamCache bounds the cache for sources that make resources anew.
const maxStreamCache = 4096

func (c *streamCache) of(row *model.LogRow) Labels {
	r := row.Resource
	if c.lastL != nil && r == c.last {
		return c.lastL
	}
	l, ok := c.byRes[r]
	if !ok {
		if c.byRes == nil || len(c.byRes) >= maxStreamCache {
			c.byRes = map[*model.Resource]Labels{}
		}
		l = StreamLabels(r)
		c.byRes[r] = l
	}
	c.last, c.lastL = r, l
	return l
}

// interner keeps one string per name, so that a parser allocates a label's
// name once a query and not once a line.
type interner struct {
	m       map[string]string
	scratch []byte
}

const maxInterned = 4096

func (n *interner) intern(b []byte) string {
	if s, ok := n.m[string(b)]; ok {
		return s
	}
	if n.m == nil || len(n.m) >= maxInterned {
		n.m = map[string]string{}
	}
	s := string(b)
	n.m[s] = s
	return s
}

func (n *interner) concat(a, b string) string {
	n.scratch = append(append(n.scratch[:0], a...), b...)
	return n.intern(n.scratch)
}
