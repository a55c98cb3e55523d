package otlp

import "braid/pkg/model"

// legacyScopes is the field number of the scopes in payloads from before OTLP
// 0.15; it counts when the present field is absent.
const legacyScopes = 1000

// each walks an export request: ResourceLogs, ResourceSpans and ResourceMetrics
// have one shape, of which only the scopes' content differs. scope reads one
// ScopeLogs (ScopeSpans, ScopeMetrics).
func (d *decoder) each(body []byte, scope func(*model.Resource, []byte) error) error {
	r := reader{b: body}
	for r.next() {
		if r.num != 1 {
			r.skip()
			continue
		}
		if part := r.bytes(); r.err == nil {
			r.in("resource", d.eachScope(part, scope))
		}
		if d.b.overflow {
			return nil
		}
	}
	return r.err
}

func (d *decoder) eachScope(b []byte, scope func(*model.Resource, []byte) error) error {
	run := take(d.b, &d.b.resources, 1)
	if run == nil {
		return nil
	}
	res := &run[0]
	hasScopes := tally(b)[2] > 0
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			r.in("resource", d.resource(r.bytes(), res))
		case 2, legacyScopes:
			part := r.bytes()
			if r.err == nil {
				mark := d.batchMark()
				r.in("scope", scope(res, part))
				if r.num == legacyScopes && hasScopes {
					d.dropBatches(mark)
				}
			}
		case 3:
			res.SchemaURL = d.text(&r)
		default:
			r.skip()
		}
		if d.b.overflow {
			return nil
		}
	}
	return r.err
}

// batchMark and dropBatches take back what was read from a legacy field that
// the present one overrules: it must be sound, but does not count.
func (d *decoder) batchMark() [3]int {
	b := d.b
	return [3]int{len(b.logs.Batches), len(b.spans.Batches), len(b.metrics.Batches)}
}

func (d *decoder) dropBatches(mark [3]int) {
	b := d.b
	b.logs.Batches = b.logs.Batches[:mark[0]]
	b.spans.Batches = b.spans.Batches[:mark[1]]
	b.metrics.Batches = b.metrics.Batches[:mark[2]]
}

// newScope takes a Scope; nil when the memory is used up.
func (d *decoder) newScope() *model.Scope {
	run := take(d.b, &d.b.scopes, 1)
	if run == nil {
		return nil
	}
	return &run[0]
}

// id copies an id of exactly len(dst) bytes; an empty one leaves zeroes. It
// reports whether the length is right.
func id(dst, src []byte) bool {
	if len(src) == 0 {
		clear(dst)
		return true
	}
	if len(src) != len(dst) {
		return false
	}
	copy(dst, src)
	return true
}
