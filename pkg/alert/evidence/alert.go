package evidence

import (
	"context"
	"time"

	commonmodel "github.com/prometheus/common/model"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Alert is one alert as rules hand it over: firing, or resolved when ResolvedAt
// is set.
type Alert struct {
	Tenant tenant.ID
	Labels map[string]string
	// Series are those of the labels that came from the data and not from the
	// rule: they say what the alert is about.
	Series      map[string]string
	Annotations map[string]string
	Expr        string // PromQL, perhaps with virtual selectors
	Group, File string
	Value       float64
	ActiveAt    time.Time // pending since
	FiredAt     time.Time
	ResolvedAt  time.Time
	// ValidUntil is when the alert counts as resolved if nobody sends it again.
	ValidUntil time.Time
}

// Name is the alert's name.
func (a *Alert) Name() string { return a.Labels[commonmodel.AlertNameLabel] }

// Fingerprint names the alert by its labels, as Alertmanager does: 16 hex
// digits.
func (a *Alert) Fingerprint() string {
	ls := make(commonmodel.LabelSet, len(a.Labels))
	for k, v := range a.Labels {
		ls[commonmodel.LabelName(k)] = commonmodel.LabelValue(v)
	}
	return ls.Fingerprint().String()
}

// Pager takes alerts on their way to people.
type Pager interface {
	// Hold makes firing alerts durable: after a crash they are paged unless
	// they have long ended. It is called before evidence is gathered.
	Hold(ctx context.Context, t tenant.ID, alerts []Alert) error
	// Page hands alerts over, with all annotations they will have.
	Page(ctx context.Context, t tenant.ID, alerts []Alert) error
}

// Question asks what is behind an alert.
type Question struct {
	Tenant tenant.ID
	Expr   string
	Name   string
	Series map[string]string
	Value  float64
	// Range is the time that the alert speaks of: from before it became pending
	// to when it fired.
	Range model.TimeRange
}

// Source answers questions about alerts. Nothing found is an empty answer. Its
// methods are called at once from several goroutines and end with the context.
type Source interface {
	// Values returns the expression's course over the range.
	Values(ctx context.Context, q Question) ([]Series, error)
	// Requests returns those behind the alert, the most telling first.
	Requests(ctx context.Context, q Question, limit int) ([]Request, error)
	// Logs returns lines that belong to the alert, newest first, and the LogQL
	// query that finds them.
	Logs(ctx context.Context, q Question, requests []Request, limit int) ([]Line, string, error)
	// Different returns the attributes that set the alert's rows apart.
	Different(ctx context.Context, q Question, requests []Request, limit int) ([]Difference, error)
}

// Series is one course of values.
type Series struct {
	Labels map[string]string `json:"labels"`
	Points []Point           `json:"points"`
}

// Point is a value at a time in Unix milliseconds.
type Point struct {
	T int64   `json:"t,string"`
	V float64 `json:"v"`
}

// Request is one request behind an alert.
type Request struct {
	TraceID    string    `json:"traceId"`
	RequestID  string    `json:"requestId,omitempty"`
	Service    string    `json:"service"`
	Route      string    `json:"route"`
	Status     string    `json:"status"`
	Error      bool      `json:"error"`
	Start      time.Time `json:"start"`
	DurationNs int64     `json:"durationNs,string"`
	// Reason says why it is here: exemplar, failed, slow, log.
	Reason string `json:"reason"`
	Link   string `json:"link"`
	// Spans, Lines and Exemplars outlive the stores' retention with the pack.
	Spans     []Span     `json:"spans,omitempty"`
	Lines     []Line     `json:"lines,omitempty"`
	Exemplars []Exemplar `json:"exemplars,omitempty"`
}

// Exemplar is a metric's value that names a kept request.
type Exemplar struct {
	Series     map[string]string `json:"series"`
	Value      float64           `json:"value"`
	Time       time.Time         `json:"time"`
	SpanID     string            `json:"spanId,omitempty"`
	Attributes map[string]any    `json:"attributes,omitempty"`
}

// Span is one step of a kept request.
type Span struct {
	SpanID     string    `json:"spanId"`
	ParentID   string    `json:"parentId,omitempty"`
	Service    string    `json:"service"`
	Name       string    `json:"name"`
	Kind       string    `json:"kind,omitempty"`
	Status     string    `json:"status"`
	Message    string    `json:"message,omitempty"` // of the status
	Start      time.Time `json:"start"`
	DurationNs int64     `json:"durationNs,string"`
	// Attributes and Resource are strings, numbers and booleans by name.
	Attributes map[string]any `json:"attributes,omitempty"`
	Resource   map[string]any `json:"resource,omitempty"`
	Events     []Event        `json:"events,omitempty"`
	Links      []SpanLink     `json:"links,omitempty"`
}

// Event is something that happened during a kept span.
type Event struct {
	Time       time.Time      `json:"time"`
	Name       string         `json:"name"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// SpanLink is another span that a kept one names.
type SpanLink struct {
	TraceID    string         `json:"traceId"`
	SpanID     string         `json:"spanId,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// Line is a log line. Count is how many lines it stands for.
type Line struct {
	Time    time.Time `json:"time"`
	Service string    `json:"service"`
	Level   string    `json:"level"`
	Text    string    `json:"text"`
	TraceID string    `json:"traceId,omitempty"`
	SpanID  string    `json:"spanId,omitempty"`
	Count   int       `json:"count,omitempty"`
	// Attributes of a line that is kept with a request.
	Attributes map[string]any `json:"attributes,omitempty"`
}

// Difference is one attribute value that the alert's rows have more, or less,
// often than the rest. Shares are between 0 and 1.
type Difference struct {
	Field string  `json:"field"`
	Value string  `json:"value"`
	Share float64 `json:"share"`
	Rest  float64 `json:"rest"`
	Score float64 `json:"score"`
}

// Link opens something in the UI.
type Link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Pack is all evidence of one episode.
type Pack struct {
	Fingerprint string       `json:"fingerprint"`
	Gathered    time.Time    `json:"gathered"`
	TookNs      int64        `json:"tookNs,string"`
	From        time.Time    `json:"from"`
	To          time.Time    `json:"to"`
	Values      []Series     `json:"values"`
	Requests    []Request    `json:"requests"`
	Logs        []Line       `json:"logs"`
	LogQuery    string       `json:"logQuery,omitempty"`
	Different   []Difference `json:"different"`
	Links       []Link       `json:"links"`
	Runbook     string       `json:"runbook,omitempty"`
	// Missing says what could not be found out, and why.
	Missing []string `json:"missing,omitempty"`
}
