package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/api"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"

	"braid/internal/vfs"
	"braid/pkg/alert/shared"
)

// Options of an Alertmanager.
type Options struct {
	// ConfigFile is an alertmanager.yml; "" means that alerts are kept and
	// shown but nobody is paged.
	ConfigFile string
	// Dir keeps silences and the notification log.
	Dir string
	// ExternalURL is the base of links in pages.
	ExternalURL *url.URL
	// Retention of resolved alerts' notification log and of ended silences; 0
	// means 120 h, as Alertmanager has it.
	Retention time.Duration
	// Maintenance is how often the notification log is written to disk; 0
	// means 15 s. What is not yet there at a crash is paged again.
	Maintenance time.Duration
	// Policy is asked at every change and reload; nil allows the API nothing and
	// guards nothing.
	Policy func() Policy
	// Observe learns what became of every notification; it must not block.
	Observe func(Outcome)
	// Peers are other alerters, of which one pages; nil means alone. Name tells
	// the Alertmanagers of one process apart.
	Peers      *Peers
	Name       string
	FS         vfs.FS // of Dir; nil means the operating system's
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	failures prometheus.Counter
	// integrations builds a receiver's; nil means all that Alertmanager has.
	integrations func(config.Receiver, *template.Template) ([]amnotify.Integration, error)
	turn         func() time.Duration // nil means that of the cluster
}

func (o *Options) alertsDir() string { return filepath.Join(o.Dir, "alerts") }

// nobody is the configuration used when there is none.
const nobody = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"

// Alertmanager is safe for concurrent use. Make one with New, end it with
// Close.
type Alertmanager struct {
	o         Options
	alerts    *keeper
	silences  *silence.Silences
	silencer  *silence.Silencer
	nflog     *nflog.Log
	groups    marker.GroupMarker
	pipelines *amnotify.PipelineBuilder
	metrics   *dispatch.DispatcherMetrics
	api       *api.API
	handler   http.Handler
	recorder  eventrecorder.Recorder
	stop      chan struct{}
	logged    joint   // saves of the notification log
	flying    flights // notifications at a receiver, not yet logged
	wg        sync.WaitGroup
	saving    sync.Mutex // one snapshot at a time

	changing   sync.Mutex                    // one change of the configuration at a time; before reloading
	set        atomic.Pointer[shared.Record] // what came by the API
	reloading  sync.Mutex                    // while the parts that a configuration decides are replaced
	original   atomic.Pointer[string]        // the configuration as the API shows it
	dispatcher atomic.Pointer[dispatch.Dispatcher]
	inhibitor  atomic.Pointer[inhibit.Inhibitor]
}

// New starts an Alertmanager. The error names the file, the line and why when
// the configuration is broken.
func New(ctx context.Context, o Options) (*Alertmanager, error) {
	if o.Retention == 0 {
		o.Retention = 120 * time.Hour
	}
	if o.Maintenance == 0 {
		o.Maintenance = 15 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{Scheme: "http", Host: "localhost:4320"}
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if err := vfs.MkdirAllDurable(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("cannot make the folder for silences: %w", err)
	}
	o.failures = prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_alert_state_failures_total",
		Help: "Times that alerts, or that they were paged, could not be written to disk."})
	if err := o.Registerer.Register(o.failures); err != nil {
		return nil, err
	}
	a := &Alertmanager{o: o, groups: marker.NewGroupMarker(), stop: make(chan struct{})}
	src, err := a.first()
	if err != nil {
		return nil, err
	}
	if err := a.build(ctx); err != nil {
		return nil, err
	}
	err = a.apply(src, nil)
	if err != nil && src.byAPI {
		a.o.Logger.Error(insteadOfSettings, "err", err)
		if src, err = a.fromFile(); err == nil {
			err = a.apply(src, nil)
		}
	}
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

const insteadOfSettings = "the configuration that was set through the API cannot be loaded: the operator's is in force instead"

// first returns the configuration to start with. One that came by the API and
// cannot be read any more must not keep the operator's from paging.
func (a *Alertmanager) first() (source, error) {
	if err := a.loadSettings(); err != nil {
		return source{}, err
	}
	src, err := a.current()
	if s, _ := a.settings(); s == nil {
		return src, err
	}
	switch {
	case err != nil && a.policy().API:
		a.o.Logger.Error(insteadOfSettings, "err", err)
		return a.fromFile()
	case !src.byAPI:
		a.o.Logger.Warn("a configuration was set through the API, which alerting.receivers.api does not allow any more: the operator's is in force")
	}
	return src, err
}

func readConfig(file string) (*config.Config, error) {
	if file == "" {
		return config.Load(nobody)
	}
	conf, err := config.LoadFile(file)
	if err != nil {
		if b, rerr := os.ReadFile(file); rerr == nil {
			if n := lineOf(string(b), err.Error()); n > 0 {
				return nil, fmt.Errorf("alertmanager configuration %s: line %d: %w", file, n, err)
			}
		}
		return nil, fmt.Errorf("alertmanager configuration %s: %w", file, err)
	}
	return conf, nil
}

var quoted = regexp.MustCompile(`"([^"\\]+)"`)

// lineOf finds the line that an error speaks of, when the error itself does not
// say: Alertmanager's library only quotes what it does not like. 0 when that is
// in no line, or in several.
func lineOf(text, problem string) int {
	if strings.Contains(problem, "line ") {
		return 0
	}
	for _, m := range quoted.FindAllStringSubmatch(problem, 10) {
		at := 0
		for i, line := range strings.Split(text, "\n") {
			if line, _, _ = strings.Cut(line, " #"); strings.Contains(line, m[1]) {
				if at > 0 {
					at = 0
					break
				}
				at = i + 1
			}
		}
		if at > 0 {
			return at
		}
	}
	return 0
}

// build makes what outlives a reload.
func (a *Alertmanager) build(ctx context.Context) (err error) {
	reg, flags := a.o.Registerer, featurecontrol.NoopFlags{}
	told, err := a.saved("nflog")
	if err != nil {
		return fmt.Errorf("cannot read the notification log: %w", err)
	}
	silenced, err := a.saved("silences")
	if err != nil {
		return fmt.Errorf("cannot read the silences: %w", err)
	}
	a.nflog, err = nflog.New(nflog.Options{SnapshotReader: told, Retention: a.o.Retention,
		Logger: a.o.Logger.With("component", "nflog"), Metrics: reg})
	if err != nil {
		return fmt.Errorf("cannot open the notification log: %w", err)
	}
	a.silences, err = silence.New(silence.Options{SnapshotReader: silenced, Retention: a.o.Retention,
		Logger: a.o.Logger.With("component", "silences"), Metrics: reg})
	if err != nil {
		return fmt.Errorf("cannot open the silences: %w", err)
	}
	a.silencer = silence.NewSilencer(a.silences, a.o.Logger, a.recorder)
	inMemory, err := mem.NewAlerts(ctx, 30*time.Minute, 0, a.silencer, a.o.Logger, a.recorder, reg, flags)
	if err != nil {
		return fmt.Errorf("cannot make the alert store: %w", err)
	}
	if a.alerts, err = openKeeper(&a.o, inMemory); err != nil {
		inMemory.Close()
		return err
	}
	if err := a.alerts.restore(ctx, time.Now(), a.nflog, a.saveLog); err != nil {
		return errors.Join(fmt.Errorf("cannot restore the firing alerts: %w", err), a.alerts.close())
	}
	a.share()
	a.pipelines = amnotify.NewPipelineBuilder(reg, flags, a.recorder)
	a.metrics = dispatch.NewDispatcherMetrics(false, reg, flags)
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "alertmanager_http_request_duration_seconds",
		Help: "Time that requests of the Alertmanager API took.", Buckets: prometheus.DefBuckets}, []string{"code", "handler", "method"})
	if err := reg.Register(duration); err != nil {
		return err
	}
	a.api, err = api.New(api.Options{Alerts: a.alerts, Silences: a.silences, GroupMutedFunc: a.groups.Muted, Timeout: 30 * time.Second,
		Logger: a.o.Logger.With("component", "api"), Registry: reg, RequestDuration: duration, Peer: a.clusterPeer(),
		GroupFunc: func(ctx context.Context, routes func(*dispatch.Route) bool, alerts func(*alert.Alert, time.Time) bool) (dispatch.AlertGroups, map[model.Fingerprint][]string, error) {
			return a.dispatcher.Load().Groups(ctx, routes, alerts)
		}})
	if err != nil {
		return fmt.Errorf("cannot make the alert API: %w", err)
	}
	a.handler = a.api.Register(route.New(), "")
	a.wg.Add(2)
	go func() {
		defer a.wg.Done()
		a.nflog.Maintenance(a.o.Maintenance, a.file("nflog"), a.stop, func() (int64, error) {
			a.tend()
			if _, err := a.nflog.GC(); err != nil {
				return 0, err
			}
			return 0, a.saveLog()
		})
	}()
	go func() {
		defer a.wg.Done()
		a.silences.Maintenance(a.o.Maintenance, a.file("silences"), a.stop, func() (int64, error) {
			if _, err := a.silences.GC(); err != nil {
				return 0, err
			}
			return a.saveSilences()
		})
	}()
	return nil
}

func (a *Alertmanager) file(name string) string { return filepath.Join(a.o.Dir, name) }

// Put hands alerts over. An alert whose EndsAt lies in the past is resolved.
func (a *Alertmanager) Put(ctx context.Context, alerts ...*alert.Alert) error {
	if err := a.alerts.Put(ctx, alerts...); err != nil {
		return fmt.Errorf("cannot take %d alerts: %w", len(alerts), err)
	}
	return nil
}

// Hold writes firing alerts to disk without paging them yet: if the process
// ends before Put, the next one pages them.
func (a *Alertmanager) Hold(alerts ...*alert.Alert) error { return a.alerts.write(alerts) }

// Active returns the alerts that have not ended.
func (a *Alertmanager) Active() []*alert.Alert {
	var out []*alert.Alert
	it := a.alerts.GetPending()
	defer it.Close()
	for x := range it.Next() {
		if !x.Data.Resolved() {
			out = append(out, x.Data)
		}
	}
	return out
}

// Handler serves Alertmanager's API under /api/v2. A silence that it has
// answered for is on disk.
func (a *Alertmanager) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/api/v2/status") {
			a.status(w, r)
			return
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			a.handler.ServeHTTP(w, r)
			return
		}
		held := &heldResponse{header: http.Header{}}
		a.handler.ServeHTTP(held, r)
		if held.status/100 == 2 && isSilence(r.URL.Path) {
			if _, err := a.saveSilences(); err != nil {
				a.o.Logger.Error("cannot save the silences", "err", err)
				http.Error(w, `"the silence is active but could not be written to disk"`, http.StatusInternalServerError)
				return
			}
		}
		held.send(w)
	})
}

// Close ends notifications in progress and writes the state to disk.
func (a *Alertmanager) Close() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.quiesce()
	if i := a.inhibitor.Load(); i != nil {
		i.Stop()
	}
	if d := a.dispatcher.Load(); d != nil {
		d.Stop()
	}
	a.quiesce() // what began between the two
	close(a.stop)
	a.wg.Wait()
	_, err := a.saveSilences()
	return errors.Join(a.saveLog(), err, a.alerts.close())
}
