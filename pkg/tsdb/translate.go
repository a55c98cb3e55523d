package tsdb

import (
	"slices"
	"strings"

	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/zeebo/xxh3"

	"braid/pkg/model"
)

// The attributes that identify a target: they become job and instance.
const (
	attrServiceName      = "service.name"
	attrServiceNamespace = "service.namespace"
	attrServiceInstance  = "service.instance.id"

	labelJob      = "job"
	labelInstance = "instance"
)

// translator turns OTLP names into Prometheus names. It is immutable.
type translator struct {
	metric     otlptranslator.MetricNamer
	label      otlptranslator.LabelNamer
	promote    map[string]bool
	promoteAll bool
	scope      bool
}

func newTranslator(o *Options) *translator {
	t := &translator{
		metric:  otlptranslator.NewMetricNamer("", o.Strategy),
		label:   otlptranslator.LabelNamer{UTF8Allowed: !o.Strategy.ShouldEscape()},
		promote: map[string]bool{},
		scope:   o.ScopeLabels,
	}
	for _, name := range o.ResourceLabels {
		if name == "*" {
			t.promoteAll = true
		}
		t.promote[name] = true
	}
	return t
}

// metricName returns the Prometheus family name of a metric.
func (t *translator) metricName(m *model.Metric) (string, error) {
	return t.metric.Build(otlptranslator.Metric{
		Name: strings.ToValidUTF8(m.Name, "\uFFFD"), Unit: strings.ToValidUTF8(m.Unit, ""), Type: namerType(m),
	})
}

func namerType(m *model.Metric) otlptranslator.MetricType {
	switch m.Type {
	case model.MetricGauge:
		return otlptranslator.MetricTypeGauge
	case model.MetricSum:
		if m.Monotonic {
			return otlptranslator.MetricTypeMonotonicCounter
		}
		return otlptranslator.MetricTypeNonMonotonicCounter
	case model.MetricHistogram:
		return otlptranslator.MetricTypeHistogram
	case model.MetricExpHistogram:
		return otlptranslator.MetricTypeExponentialHistogram
	case model.MetricSummary:
		return otlptranslator.MetricTypeSummary
	}
	return otlptranslator.MetricTypeUnknown
}

// promType is the type word of the metadata API.
func promType(m *model.Metric) string {
	switch m.Type {
	case model.MetricGauge:
		return "gauge"
	case model.MetricSum:
		if m.Monotonic {
			return "counter"
		}
		return "gauge"
	case model.MetricHistogram, model.MetricExpHistogram:
		return "histogram"
	case model.MetricSummary:
		return "summary"
	}
	return "unknown"
}

// target is a resource as its series see it.
type target struct {
	resource      *model.Resource
	job, instance string
	shard         int
	id            identity // of the resource alone
	promoted      []labels.Label
	built         bool
	minTime       int64 // of its points, Unix ns
	maxTime       int64
}

func newTarget(r *model.Resource, h *hasher) target {
	t := target{resource: r}
	h.reset()
	if r != nil {
		t.job = r.Attrs.Text(attrServiceName)
		if ns := r.Attrs.Text(attrServiceNamespace); ns != "" && t.job != "" {
			t.job = ns + "/" + t.job
		}
		t.instance = r.Attrs.Text(attrServiceInstance)
		h.attrs(r.Attrs)
	}
	t.id = h.sum()
	t.shard = shardOf(t.job, t.instance)
	return t
}

// shardOf tells which lock rules the series of a target.
func shardOf(job, instance string) int {
	return int((xxh3.HashString(job) ^ xxh3.HashString(instance)*31) % numShards)
}

// scopeIdentity is the identity of what surrounds a metric.
func (t *translator) scopeIdentity(h *hasher, resource identity, s *model.Scope) identity {
	if !t.scope || s == nil {
		return resource
	}
	h.reset()
	h.id(resource)
	h.text(s.Name)
	h.text(s.Version)
	h.text(s.SchemaURL)
	h.attrs(s.Attrs)
	return h.sum()
}

// labelSet is a small label set under construction: unsorted, names unique.
type labelSet []labels.Label

func (s labelSet) index(name string) int {
	for i := range s {
		if s[i].Name == name {
			return i
		}
	}
	return -1
}

// set replaces; an empty value removes.
func (s *labelSet) set(name, value string) {
	i := s.index(name)
	switch {
	case value == "" && i >= 0:
		*s = slices.Delete(*s, i, i+1)
	case value == "":
	case i >= 0:
		(*s)[i].Value = value
	default:
		*s = append(*s, labels.Label{Name: name, Value: value})
	}
}

// addAttrs adds attributes under their label names. Attributes that meet under
// one label name are joined with ';' in the order of their keys.
func (t *translator) addAttrs(set *labelSet, attrs model.Attrs, keep func(string) bool) error {
	sorted := attrs
	if !slices.IsSortedFunc(attrs, compareKeys) {
		sorted = slices.Clone(attrs)
		slices.SortStableFunc(sorted, compareKeys)
	}
	for i := range sorted {
		key := strings.ToValidUTF8(sorted[i].Key, "\uFFFD")
		if key == labels.MetricName || keep != nil && !keep(key) {
			continue
		}
		name, err := t.label.Build(key)
		if err != nil {
			return err
		}
		value := strings.ToValidUTF8(sorted[i].Value.Text(), "\uFFFD")
		if j := set.index(name); j >= 0 {
			(*set)[j].Value += ";" + value
		} else if value != "" {
			*set = append(*set, labels.Label{Name: name, Value: value})
		}
	}
	return nil
}

func compareKeys(a, b model.Attr) int { return strings.Compare(a.Key, b.Key) }

// baseLabels returns the labels that all series of a point share. foreign says
// that the point's own attributes named another job or instance than the
// resource does.
func (t *translator) baseLabels(dst labelSet, tg *target, scope *model.Scope, attrs model.Attrs) (set labelSet, foreign bool, err error) {
	set = dst[:0]
	if err := t.addAttrs(&set, attrs, nil); err != nil {
		return set, false, err
	}
	if err := t.promoteOnce(tg); err != nil {
		return set, false, err
	}
	for _, l := range tg.promoted {
		if set.index(l.Name) < 0 {
			set = append(set, l)
		}
	}
	set.overwrite(labelJob, tg.job)
	set.overwrite(labelInstance, tg.instance)
	if t.scope && scope != nil {
		if err := t.addScope(&set, scope); err != nil {
			return set, false, err
		}
	}
	foreign = set.get(labelJob) != validText(tg.job) || set.get(labelInstance) != validText(tg.instance)
	return set, foreign, nil
}

func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (s labelSet) get(name string) string {
	if i := s.index(name); i >= 0 {
		return s[i].Value
	}
	return ""
}

// overwrite sets a label unless the value is empty.
func (s *labelSet) overwrite(name, value string) {
	if value != "" {
		s.set(name, validText(value))
	}
}

// promoteOnce builds the labels that come from the resource.
func (t *translator) promoteOnce(tg *target) error {
	if tg.built || tg.resource == nil {
		return nil
	}
	var set labelSet
	keep := func(key string) bool { return t.promoteAll || t.promote[key] }
	if err := t.addAttrs(&set, tg.resource.Attrs, keep); err != nil {
		return err
	}
	tg.promoted, tg.built = set, true
	return nil
}

func (t *translator) addScope(set *labelSet, s *model.Scope) error {
	var attrs labelSet
	if err := t.addAttrs(&attrs, s.Attrs, nil); err != nil {
		return err
	}
	for _, l := range attrs {
		set.set("otel_scope_"+l.Name, l.Value)
	}
	set.set("otel_scope_name", validText(s.Name))
	set.set("otel_scope_version", validText(s.Version))
	set.set("otel_scope_schema_url", validText(s.SchemaURL))
	return nil
}

// targetInfoLabels returns the labels of the target_info series of a resource;
// ok is false when the resource has nothing to tell beyond job and instance,
// or no identity.
func (t *translator) targetInfoLabels(tg *target) (set labelSet, ok bool, err error) {
	if tg.resource == nil || tg.job == "" && tg.instance == "" {
		return nil, false, nil
	}
	keep := func(key string) bool {
		return key != attrServiceName && key != attrServiceNamespace && key != attrServiceInstance
	}
	if err := t.addAttrs(&set, tg.resource.Attrs, keep); err != nil || len(set) == 0 {
		return nil, false, err
	}
	set.overwrite(labelJob, tg.job)
	set.overwrite(labelInstance, tg.instance)
	return set, true, nil
}

// unit is the Prometheus spelling of a unit, for the metadata API.
func (t *translator) unit(u string) string {
	n := otlptranslator.UnitNamer{UTF8Allowed: t.label.UTF8Allowed}
	return n.Build(u)
}
