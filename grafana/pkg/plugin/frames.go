package plugin

import (
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// Kinds of frames that the SDK has no names for.
const (
	frameHeatmapRows  data.FrameType = "heatmap-rows"
	frameHeatmapCells data.FrameType = "heatmap-cells"
)

var contract = data.FrameTypeVersion{0, 1}

// fieldHint is what is known of values besides their numbers.
type fieldHint struct {
	unit, description string
	// bound is the unit of what was observed, when values count observations.
	bound string
	links []data.DataLink
}

func (h fieldHint) config(name string) *data.FieldConfig {
	return &data.FieldConfig{DisplayNameFromDS: name, Unit: h.unit, Description: h.description, Links: h.links}
}

// seriesFrames gives series the form that was asked for. Notes are shown with
// the first frame.
func (d *Datasource) seriesFrames(q question, list []series, notes []string, hint fieldHint) (data.Frames, error) {
	var frames data.Frames
	var err error
	native := len(list) > 0
	for _, s := range list {
		native = native && len(s.Values) == 0 && len(s.Histograms) > 0
	}
	switch {
	case native:
		frames = cells(list, hint)
	case q.Format == formatHeatmap:
		frames, err = rows(list, hint)
	case q.Format == formatTable:
		frames = long(list, q.Instant, hint)
	case q.Format == formatWide && !q.Instant:
		frames = wide(list, q.Legend, hint)
	default:
		frames = multi(list, q, hint)
	}
	if err != nil {
		return nil, err
	}
	for _, text := range notes {
		frames[0].AppendNotices(data.Notice{Severity: data.NoticeSeverityWarning, Text: text})
	}
	frames[0].Meta.ExecutedQueryString = q.Expr
	return frames, nil
}

// multi is "time series multi", a frame for each series; of an instant "numeric
// multi", one number for each.
func multi(list []series, q question, hint fieldHint) data.Frames {
	kind := data.FrameTypeTimeSeriesMulti
	if q.Instant {
		kind = data.FrameTypeNumericMulti
	}
	frames := make(data.Frames, 0, len(list))
	for _, s := range list {
		times, values := make([]time.Time, len(s.Values)), make([]float64, len(s.Values))
		for i, p := range s.Values {
			times[i], values[i] = p.at, p.value
		}
		name := legendOf(s.Metric, q.Legend)
		value := data.NewField(data.TimeSeriesValueFieldName, s.Metric, values)
		value.Config = hint.config(name)
		f := data.NewFrame(name, data.NewField(data.TimeSeriesTimeFieldName, nil, times), value)
		frames = append(frames, f.SetMeta(&data.FrameMeta{Type: kind, TypeVersion: contract, PreferredVisualization: data.VisTypeGraph}))
	}
	if len(frames) == 0 {
		frames = data.Frames{data.NewFrame("").SetMeta(&data.FrameMeta{Type: kind, TypeVersion: contract})}
	}
	return frames
}

// axis is all times of the series, each once, ascending.
func axis(list []series) ([]time.Time, map[int64]int) {
	at := map[int64]int{}
	var times []time.Time
	for _, s := range list {
		for _, p := range s.Values {
			if _, ok := at[p.at.UnixMilli()]; !ok {
				at[p.at.UnixMilli()] = 0
				times = append(times, p.at)
			}
		}
	}
	sort.Slice(times, func(i, k int) bool { return times[i].Before(times[k]) })
	for i, t := range times {
		at[t.UnixMilli()] = i
	}
	return times, at
}

// wide is "time series wide": one frame, a column for each series; a time that a
// series lacks is no value.
func wide(list []series, legend string, hint fieldHint) data.Frames {
	times, at := axis(list)
	f := data.NewFrame("")
	if len(list) > 0 {
		f.Fields = append(f.Fields, data.NewField(data.TimeSeriesTimeFieldName, nil, times))
	}
	for _, s := range list {
		values := make([]*float64, len(times))
		for i, p := range s.Values {
			values[at[p.at.UnixMilli()]] = &s.Values[i].value
		}
		field := data.NewField(data.TimeSeriesValueFieldName, s.Metric, values)
		field.Config = hint.config(legendOf(s.Metric, legend))
		f.Fields = append(f.Fields, field)
	}
	return data.Frames{f.SetMeta(&data.FrameMeta{Type: data.FrameTypeTimeSeriesWide, TypeVersion: contract, PreferredVisualization: data.VisTypeGraph})}
}

// long is "time series long" or, of an instant, "numeric long": labels as
// columns, for tables.
func long(list []series, instant bool, hint fieldHint) data.Frames {
	names := map[string]bool{}
	for _, s := range list {
		for k := range s.Metric {
			names[k] = true
		}
	}
	columns := make([]string, 0, len(names))
	for k := range names {
		columns = append(columns, k)
	}
	sort.Strings(columns)
	var times []time.Time
	var values []float64
	cells := make([][]string, len(columns))
	for _, s := range list {
		for _, p := range s.Values {
			times, values = append(times, p.at), append(values, p.value)
			for i, k := range columns {
				cells[i] = append(cells[i], s.Metric[k])
			}
		}
	}
	f := data.NewFrame("")
	kind := data.FrameTypeNumericLong
	if !instant {
		kind = data.FrameTypeTimeSeriesLong
		order := make([]int, len(times))
		for i := range order {
			order[i] = i
		}
		// The contract wants times ascending.
		sort.SliceStable(order, func(i, k int) bool { return times[order[i]].Before(times[order[k]]) })
		times, values = permute(times, order), permute(values, order)
		for i := range cells {
			cells[i] = permute(cells[i], order)
		}
		f.Fields = append(f.Fields, data.NewField(data.TimeSeriesTimeFieldName, nil, times))
	}
	for i, k := range columns {
		f.Fields = append(f.Fields, data.NewField(k, nil, append([]string{}, cells[i]...)))
	}
	value := data.NewField(data.TimeSeriesValueFieldName, nil, append([]float64{}, values...))
	value.Config = hint.config("")
	f.Fields = append(f.Fields, value)
	return data.Frames{f.SetMeta(&data.FrameMeta{Type: kind, TypeVersion: contract, PreferredVisualization: data.VisTypeTable})}
}

func permute[T any](list []T, order []int) []T {
	out := make([]T, len(order))
	for i, k := range order {
		out[i] = list[k]
	}
	return out
}

// bucketLabels name the upper bound of a bucket: PromQL's counts up to it,
// TraceQL's only what is in the bucket.
var bucketLabels = []struct {
	name       string
	cumulative bool
}{{"le", true}, {"__bucket", false}}

// rows is a heatmap of buckets: one column for each, named by its upper bound,
// with the count that is in it.
func rows(list []series, hint fieldHint) (data.Frames, error) {
	times, at := axis(list)
	f := data.NewFrame("").SetMeta(&data.FrameMeta{Type: frameHeatmapRows, TypeVersion: contract})
	if len(list) == 0 {
		return data.Frames{f}, nil
	}
	label, cumulative := "", false
	for _, b := range bucketLabels {
		if _, ok := list[0].Metric[b.name]; ok {
			label, cumulative = b.name, b.cumulative
		}
	}
	if label == "" {
		return nil, badQuery("a heatmap needs buckets: series with the label le, as sum by (le) (rate(…_bucket[5m])), or histogram_over_time()")
	}
	columns := map[float64][]float64{}
	for _, s := range list {
		bound, err := strconv.ParseFloat(s.Metric[label], 64)
		if err != nil {
			return nil, badQuery("the label %s is %q, no bound of a bucket", label, s.Metric[label])
		}
		if columns[bound] == nil {
			columns[bound] = make([]float64, len(times))
		}
		for _, p := range s.Values {
			if !math.IsNaN(p.value) {
				columns[bound][at[p.at.UnixMilli()]] += p.value
			}
		}
	}
	bounds := make([]float64, 0, len(columns))
	for b := range columns {
		bounds = append(bounds, b)
	}
	sort.Float64s(bounds)
	f.Fields = append(f.Fields, data.NewField(data.TimeSeriesTimeFieldName, nil, times))
	before := make([]float64, len(times))
	for _, b := range bounds {
		counts := columns[b]
		if cumulative {
			all := append([]float64{}, counts...)
			for i := range counts {
				counts[i] = max(0, counts[i]-before[i])
			}
			before = all
		}
		name := strconv.FormatFloat(b, 'g', -1, 64)
		field := data.NewField(name, data.Labels{label: name}, counts)
		field.Config = &data.FieldConfig{DisplayNameFromDS: name, Description: hint.description}
		f.Fields = append(f.Fields, field)
	}
	return data.Frames{f}, nil
}

// distribution is a native histogram at a time.
type distribution struct {
	at      time.Time
	buckets []bucket
}

type bucket struct{ low, high, count float64 }

// cells is a heatmap of native histograms, whose buckets differ from time to
// time: one row for each bucket of each time.
func cells(list []series, hint fieldHint) data.Frames {
	var times []time.Time
	var low, high, count []float64
	for _, s := range list {
		for _, h := range s.Histograms {
			for _, b := range h.buckets {
				times, low, high, count = append(times, h.at), append(low, b.low), append(high, b.high), append(count, b.count)
			}
		}
	}
	order := make([]int, len(times))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, k int) bool {
		a, b := order[i], order[k]
		if !times[a].Equal(times[b]) {
			return times[a].Before(times[b])
		}
		return low[a] < low[b]
	})
	bound := &data.FieldConfig{Unit: hint.bound}
	yMin, yMax := data.NewField("yMin", nil, permute(low, order)), data.NewField("yMax", nil, permute(high, order))
	yMin.Config, yMax.Config = bound, bound
	counts := data.NewField("count", nil, permute(count, order))
	counts.Config = &data.FieldConfig{Description: hint.description}
	f := data.NewFrame("", data.NewField("xMax", nil, permute(times, order)), yMin, yMax, counts)
	return data.Frames{f.SetMeta(&data.FrameMeta{Type: frameHeatmapCells, TypeVersion: contract})}
}

var legendPart = regexp.MustCompile(`\{\{\s*([^{}\s]+)\s*\}\}`)

// legendOf writes a series as the legend says, or as PromQL does.
func legendOf(labels data.Labels, legend string) string {
	if legend != "" && legend != "__auto" {
		return legendPart.ReplaceAllStringFunc(legend, func(m string) string { return labels[legendPart.FindStringSubmatch(m)[1]] })
	}
	var parts []string
	for k, v := range labels {
		if k != "__name__" {
			parts = append(parts, k+"="+strconv.Quote(v))
		}
	}
	sort.Strings(parts)
	if len(parts) == 0 {
		return labels["__name__"]
	}
	return labels["__name__"] + "{" + strings.Join(parts, ", ") + "}"
}

func notices(f *data.Frame, complete bool, warnings []string) {
	if !complete {
		warnings = append(warnings, "The answer is not complete: a part of Braid did not answer, or a limit was reached.")
	}
	for _, w := range warnings {
		f.AppendNotices(data.Notice{Severity: data.NoticeSeverityWarning, Text: w})
	}
}
