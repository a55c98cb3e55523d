package otlp

import "braid/pkg/model"

// DecodeLogs reads an ExportLogsServiceRequest (or LogsData: the bytes are the
// same). The result is valid until b is put back, and as long as body is
// unchanged. Rejections count the records left out; with a count of 0 they are
// warnings. An error means that nothing was decoded: the sender's fault, and
// ErrTooLarge when it is one of size.
func DecodeLogs(body []byte, enc Encoding, b *Buffers) (*model.Logs, model.Rejections, error) {
	d := decoder{b: b}
	wire, err := wireBytes(body, enc, jsonLogs, b)
	if err != nil {
		return nil, model.Rejections{}, err
	}
	rej, err := d.finish(d.each(wire, d.scopeLogs))
	if err != nil {
		return nil, rej, err
	}
	return &b.logs, rej, nil
}

func (d *decoder) scopeLogs(res *model.Resource, b []byte) error {
	scope := d.newScope()
	records := take(d.b, &d.b.records, tally(b)[2])
	if d.b.overflow {
		return nil
	}
	n := 0
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			r.in("scope", d.scope(r.bytes(), scope))
		case 2:
			part := r.bytes()
			if r.err != nil {
				break
			}
			taken, err := d.logRecord(part, &records[n])
			r.in("logRecord", err)
			if taken {
				n++
			}
		case 3:
			scope.SchemaURL = d.text(&r)
		default:
			r.skip()
		}
		if d.b.overflow {
			return nil
		}
	}
	if n > 0 {
		d.b.logs.Batches = append(d.b.logs.Batches, model.LogBatch{Resource: res, Scope: scope, Records: records[:n]})
	}
	return r.err
}

// logRecord reads one record; taken is false when it was rejected.
func (d *decoder) logRecord(b []byte, rec *model.LogRecord) (taken bool, err error) {
	n := tally(b)
	attrs := d.attrRun(nil, n[6])
	goodID := true
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			rec.Time = r.nanos()
		case 2:
			rec.Severity = severity(r.varint())
		case 3:
			rec.SeverityText = d.text(&r)
		case 5:
			v, err := d.value(r.bytes(), rec.Body)
			rec.Body = v
			r.in("body", err)
		case 6:
			attrs = d.attr(&r, attrs, &rec.DroppedAttrs)
		case 7:
			rec.DroppedAttrs = r.uint32()
		case 8:
			rec.Flags = r.fixed32()
		case 9:
			goodID = id(rec.TraceID[:], r.bytes()) && goodID
		case 10:
			goodID = id(rec.SpanID[:], r.bytes()) && goodID
		case 11:
			rec.Observed = r.nanos()
		case 12:
			rec.EventName = d.text(&r)
		default:
			r.skip()
		}
	}
	rec.Attrs = attrs
	if r.err != nil {
		return false, r.err
	}
	if !goodID {
		d.rej.Add(1, "log record with a traceId that is not 16 bytes or a spanId that is not 8; send whole ids or none")
		*rec = model.LogRecord{}
		return false, nil
	}
	if rec.Body.Kind() == model.KindMap {
		rec.Attrs = d.b.AddLeaves(rec.Body.Str(), rec.Attrs)
	}
	return true, nil
}

// severity keeps the numbers that OpenTelemetry defines; others are unset.
func severity(v uint64) model.SeverityNumber {
	if v > 24 {
		return 0
	}
	return model.SeverityNumber(v)
}
