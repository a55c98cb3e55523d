package model

// Resource is what sent the data: a service instance and where it runs.
// Once in a store or a result it is immutable and shared between rows.
type Resource struct {
	Attrs        Attrs
	SchemaURL    string
	DroppedAttrs uint32
}

// Service returns service.name, or "unknown_service" as OpenTelemetry names it.
func (r *Resource) Service() string {
	if r != nil {
		if s := r.Attrs.Text("service.name"); s != "" {
			return s
		}
	}
	return "unknown_service"
}

// Scope is the instrumentation scope.
type Scope struct {
	Name         string
	Version      string
	SchemaURL    string
	Attrs        Attrs
	DroppedAttrs uint32
}

// TimeRange is [Start, End) in Unix nanoseconds. The zero value means all time.
type TimeRange struct {
	Start, End int64
}

// All reports whether the range is unbounded.
func (t TimeRange) All() bool { return t.Start == 0 && t.End == 0 }

// Contains reports whether an instant lies in the range.
func (t TimeRange) Contains(ns int64) bool { return t.All() || ns >= t.Start && ns < t.End }

// Overlaps reports whether any instant of [min, max] lies in the range.
func (t TimeRange) Overlaps(minNS, maxNS int64) bool {
	return t.All() || maxNS >= t.Start && minNS < t.End
}
