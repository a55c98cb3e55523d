package logql

import (
	"strconv"
	"strings"
)

// LineFilter keeps lines. Op is one of |= != |~ !~ |> !>; the arguments are
// alternatives.
type LineFilter struct {
	Op   string
	Args []LineArg
}

// LineArg is one text of a line filter, or an IP pattern.
type LineArg struct {
	Text string
	IP   bool
	test func(line string) bool
}

// LabelFilter keeps entries by their labels.
type LabelFilter struct{ Cond Cond }

// JSONParser makes labels from a JSON line; with fields, only from these.
type JSONParser struct {
	Fields []FieldExpr
	paths  [][]pathStep
}

// LogfmtParser makes labels from a logfmt line; with fields, only from these.
type LogfmtParser struct {
	Strict, KeepEmpty bool
	Fields            []FieldExpr
}

// FieldExpr is label="expression" of a parser.
type FieldExpr struct{ Label, Expr string }

// RegexpParser makes labels from the named groups of a regular expression.
type RegexpParser struct {
	Pattern string
	re      submatcher
}

// PatternParser makes labels from a pattern such as "<ip> - <_> [<time>]".
type PatternParser struct {
	Pattern string
	parts   []patternPart
}

// Unpack makes labels from a packed JSON line and puts back its "_entry".
type Unpack struct{}

// Decolorize removes ANSI colour codes.
type Decolorize struct{}

// LineFormat rewrites the line by a template.
type LineFormat struct {
	Template string
	tmpl     *template
}

// LabelFormat renames labels and makes new ones by templates.
type LabelFormat struct{ Items []FormatItem }

// FormatItem is dst=src (Src set) or dst="template".
type FormatItem struct {
	Dst, Src, Template string
	tmpl               *template
	ref                labelRef // of Src
}

// Keep keeps the labels listed and drops the others; Drop does the opposite.
type Keep struct{ Items []LabelItem }

// Drop removes labels.
type Drop struct{ Items []LabelItem }

// LabelItem is a name, or a matcher: then only labels whose value matches are
// meant.
type LabelItem struct {
	Name    string
	Matcher *Matcher
}

// Distinct lets one entry through for each combination of these labels.
type Distinct struct {
	Labels []string
	refs   []labelRef
}

func (*LineFilter) stage()    {}
func (*LabelFilter) stage()   {}
func (*JSONParser) stage()    {}
func (*LogfmtParser) stage()  {}
func (*RegexpParser) stage()  {}
func (*PatternParser) stage() {}
func (*Unpack) stage()        {}
func (*Decolorize) stage()    {}
func (*LineFormat) stage()    {}
func (*LabelFormat) stage()   {}
func (*Keep) stage()          {}
func (*Drop) stage()          {}
func (*Distinct) stage()      {}

func (f *LineFilter) String() string {
	parts := make([]string, len(f.Args))
	for i, a := range f.Args {
		parts[i] = strconv.Quote(a.Text)
		if a.IP {
			parts[i] = "ip(" + parts[i] + ")"
		}
	}
	return f.Op + " " + strings.Join(parts, " or ")
}

func (f *LabelFilter) String() string { return "| " + f.Cond.String() }

func (p *JSONParser) String() string { return "| json" + fieldExprs(p.Fields) }

func (p *LogfmtParser) String() string {
	s := "| logfmt"
	if p.Strict {
		s += " --strict"
	}
	if p.KeepEmpty {
		s += " --keep-empty"
	}
	return s + fieldExprs(p.Fields)
}

func fieldExprs(fields []FieldExpr) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = quoteName(f.Label) + "=" + strconv.Quote(f.Expr)
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, ", ")
}

func (p *RegexpParser) String() string  { return "| regexp " + strconv.Quote(p.Pattern) }
func (p *PatternParser) String() string { return "| pattern " + strconv.Quote(p.Pattern) }
func (*Unpack) String() string          { return "| unpack" }
func (*Decolorize) String() string      { return "| decolorize" }
func (f *LineFormat) String() string    { return "| line_format " + strconv.Quote(f.Template) }

func (f *LabelFormat) String() string {
	parts := make([]string, len(f.Items))
	for i, it := range f.Items {
		if it.Src != "" {
			parts[i] = quoteName(it.Dst) + "=" + quoteName(it.Src)
		} else {
			parts[i] = quoteName(it.Dst) + "=" + strconv.Quote(it.Template)
		}
	}
	return "| label_format " + strings.Join(parts, ", ")
}

func (k *Keep) String() string { return "| keep " + labelItems(k.Items) }
func (d *Drop) String() string { return "| drop " + labelItems(d.Items) }

func labelItems(items []LabelItem) string {
	parts := make([]string, len(items))
	for i, it := range items {
		if it.Matcher != nil {
			parts[i] = it.Matcher.String()
		} else {
			parts[i] = quoteName(it.Name)
		}
	}
	return strings.Join(parts, ", ")
}

func (d *Distinct) String() string { return "| distinct " + joinNames(d.Labels) }
