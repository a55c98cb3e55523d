package logql

import (
	"errors"
	"fmt"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
	"time"

	"github.com/grafana/regexp"

	"braid/pkg/predicate"
)

// template is a line_format or label_format template: text/template with the
// documented functions. Templates of text and plain fields only, the most, run
// without text/template.
type template struct {
	source string
	parts  []templatePart // nil when text/template must run
	tmpl   *texttemplate.Template
	refs   []labelRef // fields named; all labels when wantAll
	all    bool
}

// templatePart is literal text, or the value of a label, or (line) the line.
type templatePart struct {
	text string
	ref  *labelRef
	line bool
}

const (
	maxTemplateOutput = 1 << 20
	maxTemplateSteps  = 100_000
	tickFunc          = "braid_tick"
)

var (
	errTemplateOutput = errors.New("template makes more than 1 MiB of text")
	errTemplateSteps  = errors.New("template runs for too many rounds")
)

// newTemplate compiles and checks a template.
func newTemplate(source string) (*template, error) {
	if len(source) > maxPattern {
		return nil, fmt.Errorf("template is %d bytes long, at most %d are allowed", len(source), maxPattern)
	}
	state := &templateState{}
	tm, err := texttemplate.New("line").Option("missingkey=zero").Funcs(state.funcs()).Parse(source)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	t := &template{source: source, tmpl: tm}
	names := map[string]bool{}
	if tm.Tree == nil || tm.Tree.Root == nil {
		t.parts = []templatePart{}
		return t, nil
	}
	t.all = fieldNames(tm.Tree.Root, names, 0)
	if len(tm.Templates()) > 1 {
		t.all = true
	}
	for n := range names {
		t.refs = append(t.refs, refOf(n))
	}
	t.parts = simpleParts(tm.Tree.Root)
	if t.parts == nil {
		for _, sub := range tm.Templates() {
			if sub.Tree != nil && sub.Tree.Root != nil {
				addTicks(sub.Tree.Root)
			}
		}
	}
	return t, nil
}

// simpleParts returns the parts of a template of text, {{.field}} and
// {{__line__}} only, nil for any other.
func simpleParts(root *parse.ListNode) []templatePart {
	parts := []templatePart{}
	for _, n := range root.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			parts = append(parts, templatePart{text: string(n.Text)})
		case *parse.ActionNode:
			if len(n.Pipe.Decl) > 0 || len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 {
				return nil
			}
			switch a := n.Pipe.Cmds[0].Args[0].(type) {
			case *parse.FieldNode:
				if len(a.Ident) != 1 {
					return nil
				}
				ref := refOf(a.Ident[0])
				parts = append(parts, templatePart{ref: &ref})
			case *parse.IdentifierNode:
				if a.Ident != "__line__" {
					return nil
				}
				parts = append(parts, templatePart{line: true})
			default:
				return nil
			}
		case *parse.CommentNode:
		default:
			return nil
		}
	}
	return parts
}

// fieldNames collects the labels that a template reads; it returns true when
// they cannot be told (a bare dot).
func fieldNames(n parse.Node, names map[string]bool, depth int) (all bool) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return false
		}
		for _, x := range n.Nodes {
			all = fieldNames(x, names, depth) || all
		}
	case *parse.ActionNode:
		return fieldNames(n.Pipe, names, depth)
	case *parse.PipeNode:
		if n == nil {
			return false
		}
		for _, c := range n.Cmds {
			for _, a := range c.Args {
				all = fieldNames(a, names, depth) || all
			}
		}
	case *parse.FieldNode:
		names[n.Ident[0]] = true
	case *parse.ChainNode:
		return fieldNames(n.Node, names, depth)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			if len(n.Ident) == 1 {
				return true
			}
			names[n.Ident[1]] = true
		}
	case *parse.DotNode:
		return depth == 0
	case *parse.IfNode:
		return branchNames(&n.BranchNode, names, depth, depth)
	case *parse.WithNode:
		return branchNames(&n.BranchNode, names, depth, depth+1)
	case *parse.RangeNode:
		return branchNames(&n.BranchNode, names, depth, depth+1)
	case *parse.TemplateNode:
		return true
	}
	return all
}

func branchNames(b *parse.BranchNode, names map[string]bool, depth, inner int) bool {
	all := fieldNames(b.Pipe, names, depth)
	all = fieldNames(b.List, names, inner) || all
	return fieldNames(b.ElseList, names, depth) || all
}

// addTicks puts a call that counts before every round of a loop and every use
// of another template, so that none runs for ever.
func addTicks(list *parse.ListNode) {
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.IfNode:
			tickBranch(&n.BranchNode)
		case *parse.WithNode:
			tickBranch(&n.BranchNode)
		case *parse.RangeNode:
			tickBranch(&n.BranchNode)
		}
	}
	list.Nodes = append([]parse.Node{tickNode()}, list.Nodes...)
}

func tickBranch(b *parse.BranchNode) {
	if b.List != nil {
		addTicks(b.List)
	}
	if b.ElseList != nil {
		addTicks(b.ElseList)
	}
}

func tickNode() parse.Node {
	trees, err := parse.Parse("tick", "{{"+tickFunc+"}}", "", "", map[string]any{tickFunc: true})
	if err != nil {
		return &parse.TextNode{NodeType: parse.NodeText}
	}
	return trees["tick"].Root.Nodes[0]
}

// templateState is what a template's functions know of the entry at hand. One
// pipeline has one, so that pipelines may run at once.
type templateState struct {
	e     *entry
	steps int
	out   limitedBuilder

	regexps map[string]*regexp.Regexp
}

// limitedBuilder refuses to grow without bound.
type limitedBuilder struct{ strings.Builder }

func (b *limitedBuilder) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxTemplateOutput {
		return 0, errTemplateOutput
	}
	return b.Builder.Write(p)
}

func (s *templateState) tick() (string, error) {
	if s.steps++; s.steps > maxTemplateSteps {
		return "", errTemplateSteps
	}
	return "", nil
}

// boundTemplate is a template ready to run in one pipeline.
type boundTemplate struct {
	*template
	state *templateState
	run   *texttemplate.Template
	data  map[string]string
}

func (t *template) bind() (*boundTemplate, error) {
	b := &boundTemplate{template: t, state: &templateState{}}
	if t.parts != nil {
		return b, nil
	}
	c, err := t.tmpl.Clone()
	if err != nil {
		return nil, fmt.Errorf("cannot prepare template %q: %w", t.source, err)
	}
	b.run = c.Funcs(b.state.funcs())
	b.data = map[string]string{}
	return b, nil
}

// execute runs the template on an entry.
func (b *boundTemplate) execute(e *entry) (string, error) {
	if b.parts != nil {
		return b.simple(e), nil
	}
	clear(b.data)
	if b.all {
		for _, set := range []Labels{e.streamLabels(), e.metadata(), e.parsed()} {
			for _, l := range set {
				b.data[l.Name] = l.Value
			}
		}
	}
	for i := range b.refs {
		if v := e.get(&b.refs[i]); v != "" {
			b.data[b.refs[i].name] = v
		}
	}
	b.state.e, b.state.steps = e, 0
	b.state.out.Reset()
	if err := b.run.Execute(&b.state.out, b.data); err != nil {
		return "", err
	}
	return b.state.out.String(), nil
}

func (b *boundTemplate) simple(e *entry) string {
	out := e.scratch[:0]
	for i := range b.parts {
		switch p := &b.parts[i]; {
		case p.ref != nil:
			out = append(out, e.get(p.ref)...)
		case p.line:
			out = append(out, e.line...)
		default:
			out = append(out, p.text...)
		}
	}
	e.scratch = out
	return string(out)
}

func (s *templateState) line() string {
	if s.e == nil {
		return ""
	}
	return s.e.line
}

func (s *templateState) timestamp() time.Time {
	if s.e == nil {
		return time.Time{}
	}
	return time.Unix(0, s.e.row.Time).UTC()
}

// lineFormat and labelFormat run the format stages of one pipeline.
type lineFormat struct{ t *boundTemplate }

func (f lineFormat) process(e *entry) bool {
	line, err := f.t.execute(e)
	if err != nil {
		e.fail(errTemplate, err.Error())
		return true
	}
	e.line = line
	return true
}

type labelFormat struct {
	items []FormatItem
	tmpls []*boundTemplate
}

// process renames and sets in order, but every template sees the labels as they
// were before the first of them.
func (f labelFormat) process(e *entry) bool {
	var values []string
	for i := range f.items {
		it := &f.items[i]
		dst := predicate.Underscore(it.Dst)
		if it.Src != "" {
			v := e.get(&it.ref)
			if v == "" && e.madeIndex(it.ref.under) < 0 {
				continue
			}
			v = strings.Clone(v)
			e.set(dst, v)
			if it.ref.under != dst {
				e.remove(it.ref.under)
			}
			continue
		}
		if values == nil {
			values = make([]string, len(f.items))
			for k := i; k < len(f.items); k++ {
				if f.tmpls[k] == nil {
					continue
				}
				v, err := f.tmpls[k].execute(e)
				if err != nil {
					e.fail(errTemplate, err.Error())
					return true
				}
				values[k] = v
			}
		}
		e.set(dst, values[i])
	}
	return true
}
