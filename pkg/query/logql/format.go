package logql

import (
	"strings"
	"time"
)

// ParseDuration reads a duration as queries write it: 5m, 1h30m, 500ms, 2d.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s) }

// FormatDuration writes a duration so that ParseDuration reads it.
func FormatDuration(d time.Duration) string { return formatDuration(d) }

// maxFormatLine is the width up to which Format leaves an expression on one
// line.
const maxFormatLine = 80

// Format renders a query for reading: short ones on a line, long ones with a
// stage, an operand or an argument on each. It parses to an equal tree.
func Format(e Expr) string {
	var b strings.Builder
	format(&b, e, 0)
	return b.String()
}

func indentBy(b *strings.Builder, depth int) { b.WriteString(strings.Repeat("  ", depth)) }

func format(b *strings.Builder, e Expr, depth int) {
	if s := e.String(); len(s)+2*depth <= maxFormatLine {
		indentBy(b, depth)
		b.WriteString(s)
		return
	}
	switch e := e.(type) {
	case *Selection:
		formatSelection(b, e, depth)
	case *RangeAgg:
		formatRange(b, e, depth)
	case *VectorAgg:
		indentBy(b, depth)
		b.WriteString(e.Op)
		if e.Grouping != nil {
			b.WriteString(" " + e.Grouping.String() + " ")
		}
		b.WriteString("(\n")
		if takesK(e.Op) {
			indentBy(b, depth+1)
			b.WriteString(formatNumber(float64(e.Param)) + ",\n")
		}
		format(b, e.Of, depth+1)
		closeParen(b, depth)
	case *Binary:
		formatOperand(b, e.Left, depth)
		b.WriteByte('\n')
		indentBy(b, depth)
		b.WriteString(e.operator() + "\n")
		formatOperand(b, e.Right, depth)
	default:
		indentBy(b, depth)
		b.WriteString(e.String())
	}
}

func closeParen(b *strings.Builder, depth int) {
	b.WriteByte('\n')
	indentBy(b, depth)
	b.WriteByte(')')
}

func formatOperand(b *strings.Builder, e Expr, depth int) {
	if _, ok := e.(*Binary); !ok {
		format(b, e, depth)
		return
	}
	indentBy(b, depth)
	b.WriteString("(\n")
	format(b, e, depth+1)
	closeParen(b, depth)
}

func formatSelection(b *strings.Builder, s *Selection, depth int) {
	indentBy(b, depth)
	s.writeSelector(b)
	formatStages(b, s.Stages, depth)
}

func formatStages(b *strings.Builder, stages []Stage, depth int) {
	for _, st := range stages {
		b.WriteByte('\n')
		indentBy(b, depth+1)
		b.WriteString(st.String())
	}
}

func formatRange(b *strings.Builder, r *RangeAgg, depth int) {
	indentBy(b, depth)
	b.WriteString(r.Op + "(\n")
	if r.Op == opQuantile {
		indentBy(b, depth+1)
		b.WriteString(formatNumber(r.Param) + ",\n")
	}
	formatSelection(b, r.Log, depth+1)
	if r.Unwrap != nil {
		bare := *r.Unwrap
		bare.After = nil
		b.WriteByte('\n')
		indentBy(b, depth+2)
		b.WriteString(bare.String())
		formatStages(b, r.Unwrap.After, depth+1)
	}
	b.WriteString(" [" + formatDuration(r.Range) + "]")
	if r.Offset != 0 {
		b.WriteString(" offset " + formatDuration(r.Offset))
	}
	closeParen(b, depth)
	if r.Grouping != nil {
		b.WriteString(" " + r.Grouping.String())
	}
}
