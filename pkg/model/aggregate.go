package model

import "math"

// Aggregate is the answer to a predicate.Aggregation: groups of partial
// results, one cell a time bucket. Partials of several blocks or sources add
// up by Merge; nothing in them is final (an average is a sum and a count, a
// quantile is a sketch).
type Aggregate struct {
	// Start is the first bucket's start and Step its width, Unix nanoseconds;
	// Step 0 means one bucket over the whole range.
	Start, Step int64
	Buckets     int
	Groups      []AggGroup
	// Dropped counts rows of groups beyond the limit of groups.
	Dropped int64
}

// AggGroup is one combination of group-by values (KindEmpty: row lacks the
// field) and its cells. Cells has Buckets entries.
type AggGroup struct {
	Key       []Value
	Cells     []Cell
	Exemplars []AggExemplar
}

// AggExemplar names one row behind a cell.
type AggExemplar struct {
	Bucket  int
	Time    int64
	Value   float64
	TraceID TraceID
	SpanID  SpanID
}

// Cell holds the partial result of one bucket of one group.
type Cell struct {
	Count uint64
	// Sum, Min and Max are of the measured field; Min and Max mean nothing
	// while Measured is 0.
	Sum, Min, Max float64
	Measured      uint64 // rows that had the field as a number
	Sketch        *Sketch
}

// Add counts a row without a measured field.
func (c *Cell) Add() { c.Count++ }

// Measure counts the number of a row.
func (c *Cell) Measure(v float64, sketch bool) {
	c.Count++
	if c.Measured == 0 {
		c.Min, c.Max = v, v
	} else {
		c.Min, c.Max = math.Min(c.Min, v), math.Max(c.Max, v)
	}
	c.Measured++
	c.Sum += v
	if sketch {
		if c.Sketch == nil {
			c.Sketch = &Sketch{}
		}
		c.Sketch.Add(v, 1)
	}
}

// Merge adds another partial of the same bucket and group.
func (c *Cell) Merge(o *Cell) {
	c.Count += o.Count
	if o.Measured > 0 {
		if c.Measured == 0 {
			c.Min, c.Max = o.Min, o.Max
		} else {
			c.Min, c.Max = math.Min(c.Min, o.Min), math.Max(c.Max, o.Max)
		}
	}
	c.Measured += o.Measured
	c.Sum += o.Sum
	if o.Sketch != nil {
		if c.Sketch == nil {
			c.Sketch = &Sketch{}
		}
		c.Sketch.Merge(o.Sketch)
	}
}
