package tracestore

import (
	"fmt"

	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/schema"

	"braid/pkg/model"
)

// A page is what a query decodes at the least; a row group shares dictionaries
// and footer entries among its pages. Every row group but a file's last has
// exactly groupRows rows, so that page and row numbers follow from each other.
// Both are cast into the format: bump sidecarVersion when they change.
const (
	pageRows   = 2048
	groupPages = 8
	groupRows  = pageRows * groupPages
)

// colType is how a column's values lie in memory and in the file.
type colType uint8

const (
	typeFixed  colType = iota // FIXED_LEN_BYTE_ARRAY
	typeInt64                 // INT64
	typeInt32                 // INT32
	typeDouble                // DOUBLE, kept as its bits
	typeBool                  // BOOLEAN
	typeText                  // BYTE_ARRAY, utf8
	typeBytes                 // BYTE_ARRAY
)

// colDef describes one column of a block's Parquet file.
type colDef struct {
	name     string
	typ      colType
	width    int // of typeFixed
	optional bool
	raw      bool // not compressed: random bytes
	key      attrKey
}

// The fixed columns, by place. What follows colFixedCount are attributes.
const (
	colTraceID = iota
	colSpanID
	colParentID
	colStart
	colDuration
	colService
	colName
	colKind
	colStatus
	colResource
	colScope
	colMessage
	colState
	colFlags
	colDroppedAttrs
	colDroppedEvents
	colDroppedLinks
	colEvents
	colLinks
	colRest
	colFixedCount
)

var fixedCols = [colFixedCount]colDef{
	colTraceID:       {name: "trace_id", typ: typeFixed, width: 16},
	colSpanID:        {name: "span_id", typ: typeFixed, width: 8, raw: true},
	colParentID:      {name: "parent_span_id", typ: typeFixed, width: 8, optional: true},
	colStart:         {name: "start_time_unix_nano", typ: typeInt64},
	colDuration:      {name: "duration_nano", typ: typeInt64},
	colService:       {name: "service_name", typ: typeText},
	colName:          {name: "name", typ: typeText},
	colKind:          {name: "kind", typ: typeInt32},
	colStatus:        {name: "status_code", typ: typeInt32},
	colResource:      {name: "resource", typ: typeInt32},
	colScope:         {name: "scope", typ: typeInt32},
	colMessage:       {name: "status_message", typ: typeText, optional: true},
	colState:         {name: "trace_state", typ: typeText, optional: true},
	colFlags:         {name: "flags", typ: typeInt32},
	colDroppedAttrs:  {name: "dropped_attributes_count", typ: typeInt32},
	colDroppedEvents: {name: "dropped_events_count", typ: typeInt32},
	colDroppedLinks:  {name: "dropped_links_count", typ: typeInt32},
	colEvents:        {name: "events", typ: typeBytes, optional: true},
	colLinks:         {name: "links", typ: typeBytes, optional: true},
	colRest:          {name: "attributes", typ: typeBytes, optional: true},
}

// droppable columns are left out of a block where no span has a value.
func droppable(c int) bool { return c >= colMessage && c < colFixedCount }

// attrCol is the column of an attribute of one type. Two types of one name
// get two columns; the type stands in the name of all but strings.
func attrCol(k attrKey) colDef {
	d := colDef{key: k, optional: true, name: "attr." + k.name}
	switch k.kind {
	case model.KindInt:
		d.typ, d.name = typeInt64, d.name+":int"
	case model.KindDouble:
		d.typ, d.name = typeDouble, d.name+":double"
	case model.KindBool:
		d.typ, d.name = typeBool, d.name+":bool"
	case model.KindBytes:
		d.typ, d.name = typeBytes, d.name+":bytes"
	case model.KindArray:
		d.typ, d.name = typeText, d.name+":array"
	case model.KindMap:
		d.typ, d.name = typeText, d.name+":map"
	default:
		d.typ = typeText
	}
	return d
}

func (d *colDef) codec() compress.Compression {
	if d.raw {
		return compress.Codecs.Uncompressed
	}
	return compress.Codecs.Zstd
}

// node returns the column's place in the Parquet schema.
func (d *colDef) node() (schema.Node, error) {
	rep := parquet.Repetitions.Required
	if d.optional {
		rep = parquet.Repetitions.Optional
	}
	logical, width := schema.LogicalType(schema.NoLogicalType{}), -1
	if d.typ == typeText {
		logical = schema.StringLogicalType{}
	}
	if d.typ == typeFixed {
		width = d.width
	}
	n, err := schema.NewPrimitiveNodeLogical(d.name, rep, logical, d.physical(), width, -1)
	if err != nil {
		return nil, fmt.Errorf("cannot describe column %q: %w", d.name, err)
	}
	return n, nil
}

func (d *colDef) physical() parquet.Type {
	return [...]parquet.Type{
		typeFixed: parquet.Types.FixedLenByteArray, typeInt64: parquet.Types.Int64, typeInt32: parquet.Types.Int32,
		typeDouble: parquet.Types.Double, typeBool: parquet.Types.Boolean,
		typeText: parquet.Types.ByteArray, typeBytes: parquet.Types.ByteArray,
	}[d.typ]
}
