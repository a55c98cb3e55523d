package predicate

import (
	"encoding/json"
	"fmt"
	"strconv"

	"braid/pkg/model"
)

// node is the JSON form of an Expr: exactly one of its parts is set. Unknown
// parts are an error, so that an older source refuses what it would otherwise
// answer wrongly.
type node struct {
	True       *struct{}   `json:"true,omitempty"`
	And        []node      `json:"and,omitempty"`
	Or         []node      `json:"or,omitempty"`
	None       *struct{}   `json:"none,omitempty"` // an empty Or
	Not        *node       `json:"not,omitempty"`
	Exists     *Field      `json:"exists,omitempty"`
	Compare    *compareDTO `json:"compare,omitempty"`
	Match      *matchDTO   `json:"match,omitempty"`
	Text       *textDTO    `json:"text,omitempty"`
	Correlated *Correlated `json:"correlated,omitempty"`
}

type compareDTO struct {
	Field Field
	Op    Op
	Value WireValue
	Loose bool `json:",omitempty"`
}

type matchDTO struct {
	Field   Field
	Pattern string
}

type textDTO struct {
	Field Field
	Mode  TextMode
	Query string
	Fold  bool `json:",omitempty"`
}

// WireValue carries a model.Value through JSON without loss.
type WireValue struct {
	Kind model.ValueKind
	Num  string `json:",omitempty"`
	Str  []byte `json:",omitempty"`
}

// ToWire and Value convert between the two.
func ToWire(v model.Value) WireValue {
	w := WireValue{Kind: v.Kind(), Str: []byte(v.Str())}
	if v.Num() != 0 {
		w.Num = strconv.FormatUint(v.Num(), 10)
	}
	return w
}

// Value returns the value carried.
func (w WireValue) Value() (model.Value, error) {
	var num uint64
	if w.Num != "" {
		n, err := strconv.ParseUint(w.Num, 10, 64)
		if err != nil {
			return model.Value{}, fmt.Errorf("%w: value bits %q", model.ErrInvalid, w.Num)
		}
		num = n
	}
	if w.Kind > model.KindMap {
		return model.Value{}, fmt.Errorf("%w: value kind %d", model.ErrInvalid, w.Kind)
	}
	return model.Raw(w.Kind, num, string(w.Str)), nil
}

// MarshalExpr writes an expression as JSON; nil is True.
func MarshalExpr(e Expr) ([]byte, error) {
	n, err := toNode(e)
	if err != nil {
		return nil, err
	}
	return json.Marshal(n)
}

func toNode(e Expr) (node, error) {
	switch e := e.(type) {
	case nil, True:
		return node{True: &struct{}{}}, nil
	case And:
		if len(e) == 0 {
			return node{True: &struct{}{}}, nil
		}
		parts, err := toNodes(e)
		return node{And: parts}, err
	case Or:
		if len(e) == 0 {
			return node{None: &struct{}{}}, nil
		}
		parts, err := toNodes(e)
		return node{Or: parts}, err
	case Not:
		x, err := toNode(e.X)
		return node{Not: &x}, err
	case Exists:
		return node{Exists: &e.Field}, nil
	case Compare:
		return node{Compare: &compareDTO{e.Field, e.Op, ToWire(e.Value), e.Loose}}, nil
	case Match:
		return node{Match: &matchDTO{e.Field, e.src}}, nil
	case Text:
		return node{Text: &textDTO{e.Field, e.Mode, e.Query, e.Fold}}, nil
	case Correlated:
		return node{Correlated: &e}, nil
	}
	return node{}, fmt.Errorf("cannot encode a predicate of type %T", e)
}

func toNodes(list []Expr) ([]node, error) {
	out := make([]node, len(list))
	for i, e := range list {
		n, err := toNode(e)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// maxDepth bounds the nesting of an expression from the wire.
const maxDepth = 200

// UnmarshalExpr reads what MarshalExpr wrote and compiles it. Errors are
// model.ErrInvalid.
func UnmarshalExpr(data []byte) (Expr, error) {
	var n node
	if err := json.Unmarshal(data, &n); err != nil {
		return nil, fmt.Errorf("%w: predicate: %w", model.ErrInvalid, err)
	}
	return n.expr(0)
}

func (n *node) expr(depth int) (Expr, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: predicate is nested more than %d deep", model.ErrInvalid, maxDepth)
	}
	switch {
	case n.True != nil:
		return True{}, nil
	case n.None != nil:
		return Or{}, nil
	case n.And != nil:
		parts, err := exprs(n.And, depth)
		return And(parts), err
	case n.Or != nil:
		parts, err := exprs(n.Or, depth)
		return Or(parts), err
	case n.Not != nil:
		x, err := n.Not.expr(depth + 1)
		return Not{x}, err
	case n.Exists != nil:
		return Exists{*n.Exists}, n.Exists.valid()
	case n.Compare != nil:
		v, err := n.Compare.Value.Value()
		if err == nil {
			err = n.Compare.Field.valid()
		}
		if err == nil && n.Compare.Op > Gte {
			err = fmt.Errorf("%w: operator %d", model.ErrInvalid, n.Compare.Op)
		}
		return Compare{n.Compare.Field, n.Compare.Op, v, n.Compare.Loose}, err
	case n.Match != nil:
		if err := n.Match.Field.valid(); err != nil {
			return nil, err
		}
		return NewMatch(n.Match.Field, n.Match.Pattern)
	case n.Text != nil:
		if err := n.Text.Field.valid(); err != nil {
			return nil, err
		}
		if n.Text.Mode > Prefix {
			return nil, fmt.Errorf("%w: text mode %d", model.ErrInvalid, n.Text.Mode)
		}
		return NewText(n.Text.Field, n.Text.Mode, n.Text.Query, n.Text.Fold)
	case n.Correlated != nil:
		return *n.Correlated, nil
	}
	return nil, fmt.Errorf("%w: predicate has an unknown or empty part; is the asker of a newer version?", model.ErrInvalid)
}

func exprs(list []node, depth int) ([]Expr, error) {
	out := make([]Expr, len(list))
	for i := range list {
		e, err := list[i].expr(depth + 1)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

func (f Field) valid() error {
	if f.Scope > ScopeTrace {
		return fmt.Errorf("%w: field scope %d", model.ErrInvalid, f.Scope)
	}
	return nil
}
