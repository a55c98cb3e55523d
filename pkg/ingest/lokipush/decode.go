package lokipush

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"braid/pkg/ingest"
	"braid/pkg/model"
	"braid/pkg/otlp"
)

// builder makes batches and counts their memory.
type builder struct {
	b    *otlp.Buffers
	logs model.Logs
}

// stream begins a stream's batch.
func (d *builder) stream(labels model.Attrs) (*model.LogBatch, error) {
	res := &model.Resource{Attrs: labels}
	if _, ok := labels.Get("service.name"); !ok {
		if name := serviceName(labels); name != "" {
			res.Attrs = append(res.Attrs, model.Attr{Key: "service.name", Value: model.String(name)})
		}
	}
	d.logs.Batches = append(d.logs.Batches, model.LogBatch{Resource: res, Scope: &model.Scope{}})
	size := unsafe.Sizeof(model.Resource{}) + unsafe.Sizeof(model.Scope{}) + unsafe.Sizeof(model.LogBatch{}) + uintptr(len(res.Attrs))*unsafe.Sizeof(model.Attr{})
	return &d.logs.Batches[len(d.logs.Batches)-1], d.b.Charge(int(size))
}

// serviceLabels are where Loki itself looks for a service's name, in order.
var serviceLabels = []string{"service_name", "service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container", "container_name", "component", "workload", "job"}

func serviceName(labels model.Attrs) string {
	for _, n := range serviceLabels {
		if v := labels.Text(n); v != "" {
			return v
		}
	}
	return ""
}

// entry adds one line. Its severity and ids come from the metadata, or from a
// label of the stream.
func (d *builder) entry(s *model.LogBatch, ns int64, line string, meta model.Attrs) error {
	rec := model.LogRecord{Time: ns, Body: model.String(line), Attrs: meta}
	for _, from := range []model.Attrs{meta, s.Resource.Attrs} {
		for _, a := range from {
			d.meaning(&rec, a)
		}
	}
	s.Records = append(s.Records, rec)
	return d.b.Charge(int(unsafe.Sizeof(rec) + uintptr(len(meta))*unsafe.Sizeof(model.Attr{})))
}

// meaning fills the record's own fields from an attribute that stands for one.
func (d *builder) meaning(rec *model.LogRecord, a model.Attr) {
	switch a.Key {
	case "level", "severity", "severity_text", "detected_level":
		if rec.Severity == 0 {
			if n := ingest.SeverityOf(a.Value.Str()); n != 0 {
				rec.Severity, rec.SeverityText = n, a.Value.Str()
			}
		}
	case "trace_id", "traceid", "traceID", "traceId":
		if rec.TraceID.IsZero() && len(a.Value.Str()) <= 32 {
			if id, ok := model.ParseTraceID(a.Value.Str()); ok {
				rec.TraceID = id
			}
		}
	case "span_id", "spanid", "spanID", "spanId":
		if rec.SpanID.IsZero() && len(a.Value.Str()) == 16 {
			if id, ok := model.ParseSpanID(a.Value.Str()); ok {
				rec.SpanID = id
			}
		}
	}
}

// add puts a label or metadatum among the others; an equal name replaces.
func add(attrs model.Attrs, name, value string) model.Attrs {
	if name == "" {
		return attrs
	}
	for i := range attrs {
		if attrs[i].Key == name {
			attrs[i].Value = model.String(value)
			return attrs
		}
	}
	return append(attrs, model.Attr{Key: name, Value: model.String(value)})
}

// maxLabels bounds the labels of a stream and the metadata of an entry: add
// looks through them.
const maxLabels = 1024

var errLabels = fmt.Errorf("more than %d labels", maxLabels)

func decodeJSON(body []byte, b *otlp.Buffers) (*model.Logs, error) {
	var push struct {
		Streams []struct {
			Stream map[string]string   `json:"stream"`
			Values [][]json.RawMessage `json:"values"`
		} `json:"streams"`
	}
	if err := b.Charge(4 * len(body)); err != nil { // what the JSON library makes of it
		return nil, err
	}
	if err := json.Unmarshal(body, &push); err != nil {
		return nil, err
	}
	d := &builder{b: b}
	for _, s := range push.Streams {
		if len(s.Stream) > maxLabels {
			return nil, errLabels
		}
		batch, err := d.stream(fromMap(s.Stream))
		if err != nil {
			return nil, err
		}
		for _, v := range s.Values {
			if err := d.jsonEntry(batch, v); err != nil {
				return nil, err
			}
		}
	}
	return &d.logs, nil
}

func (d *builder) jsonEntry(s *model.LogBatch, v []json.RawMessage) error {
	if len(v) < 2 || len(v) > 3 {
		return errors.New(`a value is not ["<unix ns>", "<line>"] or ["<unix ns>", "<line>", {metadata}]`)
	}
	var stamp, line string
	if err := json.Unmarshal(v[0], &stamp); err != nil {
		return fmt.Errorf("the time of a value is not a string: %w", err)
	}
	ns, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of a value is not nanoseconds: %w", err)
	}
	if err := json.Unmarshal(v[1], &line); err != nil {
		return fmt.Errorf("the line of a value is not a string: %w", err)
	}
	var meta map[string]string
	if len(v) == 3 {
		if err := json.Unmarshal(v[2], &meta); err != nil {
			return fmt.Errorf("the metadata of a value is not an object of strings: %w", err)
		}
	}
	if len(meta) > maxLabels {
		return errLabels
	}
	return d.entry(s, ns, line, fromMap(meta))
}

func decodeProtobuf(body []byte, b *otlp.Buffers) (*model.Logs, error) {
	d := &builder{b: b}
	err := fields(body, func(num protowire.Number, v []byte, _ uint64) error {
		if num != 1 || v == nil {
			return nil
		}
		return d.protoStream(v)
	})
	if err != nil {
		return nil, err
	}
	return &d.logs, nil
}

// protoStream reads labels (1) and entries (2), which may come in any order.
func (d *builder) protoStream(body []byte) error {
	var labels model.Attrs
	err := fields(body, func(num protowire.Number, v []byte, _ uint64) (err error) {
		if num == 1 && v != nil {
			labels, err = ParseLabels(text(v))
		}
		return err
	})
	if err != nil {
		return err
	}
	s, err := d.stream(labels)
	if err != nil {
		return err
	}
	return fields(body, func(num protowire.Number, v []byte, _ uint64) error {
		if num != 2 || v == nil {
			return nil
		}
		return d.protoEntry(s, v)
	})
}

// protoEntry reads a time (1), a line (2) and metadata (3).
func (d *builder) protoEntry(s *model.LogBatch, body []byte) error {
	var ns int64
	var line string
	var meta model.Attrs
	err := fields(body, func(num protowire.Number, v []byte, _ uint64) error {
		switch {
		case v == nil:
		case num == 1:
			return fields(v, func(num protowire.Number, _ []byte, n uint64) error {
				switch num {
				case 1:
					if int64(n) > 1<<33 || int64(n) < 0 {
						return errors.New("the time of an entry is not in the years 1970 to 2242")
					}
					ns += int64(n) * 1e9
				case 2:
					ns += int64(int32(n))
				}
				return nil
			})
		case num == 2:
			line = text(v)
		case num == 3:
			var name, value string
			if err := fields(v, func(num protowire.Number, v []byte, _ uint64) error {
				switch {
				case v == nil:
				case num == 1:
					name = text(v)
				case num == 2:
					value = text(v)
				}
				return nil
			}); err != nil {
				return err
			}
			if meta = add(meta, name, value); len(meta) > maxLabels {
				return errLabels
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.entry(s, ns, line, meta)
}

// fields calls each for every field: bytes for a length-delimited one (never
// nil), n for a varint.
func fields(b []byte, each func(num protowire.Number, v []byte, n uint64) error) error {
	for len(b) > 0 {
		num, wire, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v []byte
		var n uint64
		switch wire {
		case protowire.BytesType:
			if v, size = protowire.ConsumeBytes(b); size >= 0 && v == nil {
				v = []byte{}
			}
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(num, wire, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := each(num, v, n); err != nil {
			return err
		}
	}
	return nil
}

// text reads a string; it may alias the body. Bad UTF-8 is replaced.
func text(v []byte) string {
	if len(v) == 0 {
		return ""
	}
	s := unsafe.String(&v[0], len(v))
	if !utf8.ValidString(s) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}
