package searchapi

import (
	"bytes"
	"encoding/json"
	"strconv"

	"braid/pkg/model"
)

// record is one record as JSON.
type record struct {
	// At is the record's place, for the parameters at and after.
	At       string      `json:"at"`
	Time     string      `json:"time"`
	Observed string      `json:"observed,omitempty"`
	Level    string      `json:"level"`
	Severity int         `json:"severityNumber,omitempty"`
	SevText  string      `json:"severityText,omitempty"`
	Body     model.Value `json:"body"`
	Event    string      `json:"eventName,omitempty"`
	TraceID  string      `json:"traceId,omitempty"`
	SpanID   string      `json:"spanId,omitempty"`
	Flags    uint32      `json:"flags,omitempty"`
	Dropped  uint32      `json:"droppedAttributes,omitempty"`
	Attrs    object      `json:"attributes"`
	Resource object      `json:"resource"`
	Scope    *scope      `json:"scope,omitempty"`
}

type scope struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Attrs   object `json:"attributes,omitempty"`
}

func nanos(ns int64) string { return strconv.FormatInt(ns, 10) }

func records(rows []model.LogRow) []record {
	out := make([]record, len(rows))
	for i := range rows {
		out[i] = recordOf(&rows[i])
	}
	return out
}

func recordOf(r *model.LogRow) record {
	out := record{
		At: nanos(r.Time) + "." + strconv.FormatUint(r.Seq, 10), Time: nanos(r.Time), Level: r.Severity.Level(), Severity: int(r.Severity),
		SevText: r.SeverityText, Body: r.Body, Event: r.EventName, Flags: r.Flags, Dropped: r.DroppedAttrs, Attrs: object(r.Attrs),
	}
	if r.Observed != 0 {
		out.Observed = nanos(r.Observed)
	}
	if !r.TraceID.IsZero() {
		out.TraceID = r.TraceID.String()
	}
	if !r.SpanID.IsZero() {
		out.SpanID = r.SpanID.String()
	}
	if r.Resource != nil {
		out.Resource = object(r.Resource.Attrs)
	}
	if s := r.Scope; s != nil && (s.Name != "" || s.Version != "" || len(s.Attrs) > 0) {
		out.Scope = &scope{s.Name, s.Version, object(s.Attrs)}
	}
	return out
}

// object writes attributes as a JSON object, in their order.
type object model.Attrs

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, a := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(a.Key)
		if err != nil {
			return nil, err
		}
		value, err := a.Value.MarshalJSON()
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
