package federate

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"braid/pkg/model"
)

func lostText(source, kind string, n int64) string {
	return fmt.Sprintf("%d records of %s carry no %s id, nor an id that a record of these queries says to be of one: they are in no row", n, source, kind)
}

func cutText(limit, total int) string {
	return fmt.Sprintf("only the first %d of %d rows are returned: raise the limit, or end with top or limit", limit, total)
}

// settle gives the columns of attributes the type that all of their values
// have.
func settle(r *Result) {
	for i := range r.Columns {
		if t := r.Columns[i].Type; t == TypeTime || t == TypeDuration {
			r.roundColumn(i)
		}
		if r.Columns[i].Type != TypeValue {
			continue
		}
		typ := TypeInt
		for _, row := range r.Rows {
			switch row[i].Kind() {
			case model.KindEmpty, model.KindInt:
				continue
			case model.KindDouble:
				typ = TypeDouble
				continue
			}
			typ = TypeString
			break
		}
		r.Columns[i].Type = typ
	}
}

// roundColumn makes averages and quantiles of times whole nanoseconds again.
func (r *Result) roundColumn(i int) {
	for _, row := range r.Rows {
		if f, ok := row[i].Float(); ok && row[i].Kind() == model.KindDouble {
			row[i] = model.Int(int64(f))
		}
	}
}

// streamRows is how many rows are written between two looks at the context.
const streamRows = 4096

// WriteNDJSON writes a JSON object a row, and, when the answer is not whole or
// has warnings, a last one with the keys "complete" and "warnings".
func (r *Result) WriteNDJSON(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	names := make([][]byte, len(r.Columns))
	for i, c := range r.Columns {
		var err error
		if names[i], err = json.Marshal(c.Name); err != nil {
			return fmt.Errorf("cannot write column %q: %w", c.Name, err)
		}
	}
	for n, row := range r.Rows {
		if n%streamRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		_ = out.WriteByte('{')
		for i, v := range row {
			if i > 0 {
				_ = out.WriteByte(',')
			}
			text, err := v.MarshalJSON()
			if err != nil {
				return fmt.Errorf("cannot write column %q: %w", r.Columns[i].Name, err)
			}
			_, _ = out.Write(names[i])
			_ = out.WriteByte(':')
			_, _ = out.Write(text)
		}
		if _, err := out.WriteString("}\n"); err != nil {
			return err
		}
	}
	if !r.Complete || len(r.Warnings) > 0 {
		if err := json.NewEncoder(out).Encode(map[string]any{"complete": r.Complete, "warnings": r.Warnings}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// WriteCSV writes a line of names and a line a row (RFC 4180).
func (r *Result) WriteCSV(ctx context.Context, w io.Writer) error {
	out := csv.NewWriter(w)
	line := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		line[i] = c.Name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for n, row := range r.Rows {
		if n%streamRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		for i, v := range row {
			line[i] = v.Text()
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

var arrowTypes = map[string]arrow.DataType{TypeID: arrow.BinaryTypes.String, TypeString: arrow.BinaryTypes.String, TypeInt: arrow.PrimitiveTypes.Int64,
	TypeDouble: arrow.PrimitiveTypes.Float64, TypeBool: arrow.FixedWidthTypes.Boolean, TypeTime: arrow.FixedWidthTypes.Timestamp_ns,
	TypeDuration: arrow.FixedWidthTypes.Duration_ns}

// WriteArrow writes an Arrow IPC stream of batches of some thousand rows.
func (r *Result) WriteArrow(ctx context.Context, w io.Writer) (err error) {
	fields := make([]arrow.Field, len(r.Columns))
	for i, c := range r.Columns {
		fields[i] = arrow.Field{Name: strings.ToValidUTF8(c.Name, "\uFFFD"), Type: arrowTypes[c.Type], Nullable: true}
	}
	meta := arrow.NewMetadata([]string{"complete", "warnings"}, []string{fmt.Sprint(r.Complete), strings.Join(r.Warnings, "\n")})
	schema := arrow.NewSchema(fields, &meta)
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	for from := 0; from < len(r.Rows); from += streamRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.writeBatch(out, schema, r.Rows[from:min(from+streamRows, len(r.Rows))]); err != nil {
			return fmt.Errorf("cannot write rows: %w", err)
		}
	}
	return nil
}

func (r *Result) writeBatch(out *ipc.Writer, schema *arrow.Schema, rows [][]model.Value) error {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i, c := range r.Columns {
		f := b.Field(i)
		for _, row := range rows {
			appendValue(f, c.Type, row[i])
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	return out.Write(rec)
}

func appendValue(b array.Builder, typ string, v model.Value) {
	number, isNumber := v.Float()
	switch {
	case v.Kind() == model.KindEmpty:
		b.AppendNull()
	case typ == TypeBool:
		b.(*array.BooleanBuilder).Append(v.AsBool())
	case typ == TypeString || typ == TypeID:
		b.(*array.StringBuilder).Append(strings.ToValidUTF8(v.Text(), "\uFFFD"))
	case !isNumber:
		b.AppendNull()
	case typ == TypeDouble:
		b.(*array.Float64Builder).Append(number)
	case typ == TypeInt:
		b.(*array.Int64Builder).Append(v.AsInt())
	case typ == TypeTime:
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(v.AsInt()))
	case typ == TypeDuration:
		b.(*array.DurationBuilder).Append(arrow.Duration(v.AsInt()))
	default:
		b.AppendNull()
	}
}
