package logql

import (
	"strconv"
)

// Cond is the condition of a label filter.
type Cond interface {
	String() string
	// holds tries the condition on an entry. A value that cannot be converted
	// marks the entry with __error__ and lets it through; a condition on an address
	// lets a marked entry through.
	holds(e *entry) bool
}

// CondAnd and CondOr join two conditions.
type (
	CondAnd struct{ Left, Right Cond }
	// CondOr holds when one side does.
	CondOr struct{ Left, Right Cond }
)

// CondString compares the text of a label.
type CondString struct{ *Matcher }

// CondNumber compares a label as a number. Unit is "" for plain numbers,
// "duration" (Value in ns) or "bytes". Raw is the value as it was written.
type CondNumber struct {
	Name, Op, Raw string
	Unit          string
	Value         float64
	ref           labelRef
}

// CondIP tries whether a label is, or is not, an address of the pattern.
type CondIP struct {
	Name    string
	Negate  bool
	Pattern string
	ref     labelRef
	ip      ipPattern
}

func (c *CondAnd) String() string { return condOperand(c.Left) + " and " + condOperand(c.Right) }
func (c *CondOr) String() string  { return condOperand(c.Left) + " or " + condOperand(c.Right) }

func condOperand(c Cond) string {
	switch c.(type) {
	case *CondAnd, *CondOr:
		return "(" + c.String() + ")"
	}
	return c.String()
}

func (c *CondNumber) String() string { return quoteName(c.Name) + c.Op + c.Raw }

func (c *CondIP) String() string {
	op := "="
	if c.Negate {
		op = "!="
	}
	return quoteName(c.Name) + op + "ip(" + strconv.Quote(c.Pattern) + ")"
}

func (c *CondAnd) holds(e *entry) bool { return c.Left.holds(e) && c.Right.holds(e) }
func (c *CondOr) holds(e *entry) bool  { return c.Left.holds(e) || c.Right.holds(e) }

func (c CondString) holds(e *entry) bool { return e.matches(c.Matcher) }

func (c *CondNumber) holds(e *entry) bool {
	if c.ref.under == labelError {
		return false // it is read as text only
	}
	text := e.get(&c.ref)
	if text == "" {
		return false
	}
	v, err := c.convert(text)
	if err != nil {
		e.fail(errLabelFilter, err.Error())
		return true
	}
	return compareNumbers(c.Op, v, c.Value)
}

func (c *CondNumber) convert(text string) (float64, error) {
	switch c.Unit {
	case "duration":
		d, err := parseDuration(text)
		return float64(d), err
	case "bytes":
		return parseBytes(text)
	}
	return strconv.ParseFloat(text, 64)
}

func compareNumbers(op string, a, b float64) bool {
	switch op {
	case "==":
		return a == b
	case "!=":
		return a != b
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "<":
		return a < b
	}
	return a <= b
}

func (c *CondIP) holds(e *entry) bool {
	if e.failed() {
		return true
	}
	text := e.get(&c.ref)
	if text == "" {
		return false
	}
	return c.ip.matchWhole(text) != c.Negate
}
