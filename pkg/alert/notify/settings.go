package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/template"

	"braid/internal/vfs"
	"braid/pkg/alert/shared"
	"braid/pkg/model"
)

// ErrForbidden is the answer to a change that the operator has not allowed.
var ErrForbidden = errors.New("forbidden")

// Settings are a configuration that came by the API, in the form of Mimir and
// Cortex: the text of an alertmanager.yml, and the templates that it names.
type Settings struct {
	Config    string            `yaml:"alertmanager_config" json:"alertmanager_config"`
	Templates map[string]string `yaml:"template_files,omitempty" json:"template_files,omitempty"`
}

// Bounds of settings.
const (
	maxSettingsBytes = 1 << 20
	maxTemplates     = 100
)

// source is what a configuration is made of.
type source struct {
	conf      *config.Config
	text      string
	templates map[string]string // beside those that conf names
	byAPI     bool
}

// fromFile reads the operator's own configuration.
func (a *Alertmanager) fromFile() (source, error) {
	conf, err := readConfig(a.o.ConfigFile)
	return source{conf: conf, text: a.o.text()}, err
}

// current is what the operator and the API together want in force.
func (a *Alertmanager) current() (source, error) {
	if s, _ := a.settings(); s != nil && a.policy().API {
		src, err := s.read()
		if err != nil {
			return source{}, fmt.Errorf("the alertmanager configuration that was set through the API: %w", err)
		}
		return src, nil
	}
	return a.fromFile()
}

func (a *Alertmanager) policy() Policy {
	if a.o.Policy == nil {
		return Policy{}
	}
	return a.o.Policy()
}

// read checks settings by Alertmanager's own library, and refuses all by which a
// tenant could read the operator's files or go past the operator's guard.
func (s *Settings) read() (source, error) {
	bad := func(format string, args ...any) (source, error) {
		return source{}, fmt.Errorf("%w: "+format, append([]any{model.ErrInvalid}, args...)...)
	}
	size := len(s.Config)
	for name, text := range s.Templates {
		size += len(name) + len(text)
	}
	switch {
	case s.Config == "":
		return bad("alertmanager_config is empty: it holds the text of an alertmanager.yml")
	case size > maxSettingsBytes || len(s.Templates) > maxTemplates:
		return bad("%d bytes in %d template_files: %d bytes and %d files are allowed", size, len(s.Templates), maxSettingsBytes, maxTemplates)
	case strings.Contains(s.Config, secret):
		return bad("alertmanager_config has %s, which stands for a secret where one is shown: give the secret itself", secret)
	}
	conf, err := config.Load(s.Config)
	if err != nil {
		return bad("alertmanager_config: %w", err)
	}
	for _, name := range conf.Templates {
		if _, ok := s.Templates[name]; !ok {
			return bad("alertmanager_config: templates: %q is not among template_files: through the API no file of the server can be named", name)
		}
	}
	plain := *conf
	plain.Templates = nil
	if err := confined(reflect.ValueOf(plain), ""); err != nil {
		return bad("alertmanager_config: %w", err)
	}
	return source{conf: &plain, text: s.Config, templates: s.Templates, byAPI: true}, nil
}

// beyond are settings by which a receiver would go past the guard of addresses,
// or act with what belongs to the process, and why.
var beyond = map[string]string{
	"proxy_url":              "a proxy would connect to addresses that are not checked",
	"proxy_from_environment": "a proxy would connect to addresses that are not checked",
	"proxy_connect_header":   "a proxy would connect to addresses that are not checked",
	"files":                  "it names a file of the server",
	"sns_configs":            "it would act with the identity of the server at AWS",
	"tracing":                "it is the operator's to set",
	"event_recorder":         "it is the operator's to set",
}

// confined walks a configuration and finds what the API may not set.
func confined(v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return confined(v.Elem(), path)
	case reflect.Slice:
		for i := range v.Len() {
			if err := confined(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := confined(it.Value(), fmt.Sprintf("%s.%v", path, it.Key())); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			inline := f.Anonymous || strings.Contains(rest, "inline")
			if !f.IsExported() || name == "-" || name == "" && !inline {
				continue
			}
			at := path
			if !inline {
				at = strings.TrimPrefix(path+"."+name, ".")
			}
			why := beyond[name]
			if strings.HasSuffix(name, "_file") {
				why = beyond["files"]
			}
			if why != "" && !inline && !empty(v.Field(i)) {
				return fmt.Errorf("%s cannot be set through the API: %s", at, why)
			}
			if err := confined(v.Field(i), at); err != nil {
				return err
			}
		}
	}
	return nil
}

func empty(v reflect.Value) bool {
	if k := v.Kind(); k == reflect.Slice || k == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

// parse makes the templates of a source.
func (s *source) parse() (*template.Template, error) {
	tmpl, err := template.FromGlobs(nil)
	if err != nil {
		return nil, fmt.Errorf("alertmanager templates: %w", err)
	}
	for _, files := range s.conf.Templates {
		if err := tmpl.FromGlob(files); err != nil {
			return nil, fmt.Errorf("alertmanager templates %s: %w", files, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.templates)) {
		if err := tmpl.Parse(strings.NewReader(s.templates[name])); err != nil {
			return nil, fmt.Errorf("%w: template_files: %q: %w", model.ErrInvalid, name, err)
		}
	}
	return tmpl, nil
}

// settingsFile lies beside the silences.
const settingsFile = "settings.json"

// HasSettings reports whether a folder of an Alertmanager holds a configuration
// that came by the API, or that one was taken away.
func HasSettings(dir string) bool {
	_, err := vfs.OS.ReadFile(filepath.Join(dir, settingsFile))
	return err == nil
}

func (a *Alertmanager) loadSettings() error {
	b, err := a.o.FS.ReadFile(a.file(settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r := &shared.Record{}
	if err == nil {
		err = json.Unmarshal(b, r)
	}
	if err != nil {
		return fmt.Errorf("cannot read the configuration that came by the API: %w", err)
	}
	a.set.Store(r)
	return nil
}

// settings returns what the API has set, nil when nothing, with its stamp.
func (a *Alertmanager) settings() (*Settings, shared.Stamp) {
	r := a.set.Load()
	if r == nil {
		return nil, shared.Stamp{}
	}
	if r.Gone {
		return nil, r.Stamp
	}
	s := &Settings{}
	if json.Unmarshal([]byte(r.Text), s) != nil {
		return nil, r.Stamp
	}
	return s, r.Stamp
}

// Settings returns what the API has set, without secrets; model.ErrNotFound when
// the operator's own configuration is in force.
func (a *Alertmanager) Settings() (Settings, error) {
	if !a.policy().API {
		return Settings{}, errNotByAPI
	}
	s, _ := a.settings()
	if s == nil {
		return Settings{}, errNoSettings
	}
	src, err := s.read()
	if err != nil {
		return Settings{}, err
	}
	return Settings{Config: original(src.text, src.conf), Templates: s.Templates}, nil
}

var errNoSettings = fmt.Errorf("no configuration was set through the API, the operator's is in force: %w", model.ErrNotFound)

var errNotByAPI = fmt.Errorf("%w: the Alertmanager configuration, and so receivers, cannot be set through the API: the operator can allow it by alerting.receivers.api, or change the file that alerting.alertmanager_config names", ErrForbidden)

// Set puts a configuration in force that came by the API; it is on disk when
// this returns. One that cannot be loaded changes nothing; the error then wraps
// model.ErrInvalid.
func (a *Alertmanager) Set(s Settings, by string) error {
	if !a.policy().API {
		return errNotByAPI
	}
	src, err := s.read()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return a.change(src, func(before shared.Stamp) *shared.Record {
		return &shared.Record{Stamp: shared.Next(time.Now(), by, before), Text: string(text)}
	})
}

// Unset puts the operator's own configuration in force again.
func (a *Alertmanager) Unset(by string) error {
	if !a.policy().API {
		return errNotByAPI
	}
	if r := a.set.Load(); r == nil || r.Gone { // one that cannot be read any more can be taken back
		return errNoSettings
	}
	src, err := a.fromFile()
	if err != nil {
		return err
	}
	return a.change(src, func(before shared.Stamp) *shared.Record {
		return &shared.Record{Stamp: shared.Next(time.Now(), by, before), Gone: true}
	})
}

// Record is what the API has set, to tell other alerters; nil when nothing ever
// was.
func (a *Alertmanager) Record() *shared.Record { return a.set.Load() }

// Take puts in force what was set in another alerter, when it is newer.
func (a *Alertmanager) Take(r shared.Record) error {
	if !a.policy().API {
		return errNotByAPI
	}
	if now := a.set.Load(); now != nil && !r.After(now.Stamp) {
		return nil
	}
	var src source
	var err error
	if r.Gone {
		src, err = a.fromFile()
	} else {
		s := &Settings{}
		if err = json.Unmarshal([]byte(r.Text), s); err == nil {
			src, err = s.read()
		}
	}
	if err != nil {
		return err
	}
	return a.change(src, func(before shared.Stamp) *shared.Record {
		if !r.After(before) {
			return nil
		}
		r.Key = ""
		return &r
	})
}

// change puts a source in force and keeps its record; next returns nil when
// there is nothing to change after all.
func (a *Alertmanager) change(src source, next func(before shared.Stamp) *shared.Record) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	before := a.set.Load()
	var stamp shared.Stamp
	if before != nil {
		stamp = before.Stamp
	}
	r := next(stamp)
	if r == nil {
		return nil
	}
	return a.apply(src, func() error {
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := a.save(settingsFile, func(w io.Writer) (int64, error) {
			n, err := w.Write(b)
			return int64(n), err
		}); err != nil {
			return err
		}
		a.set.Store(r)
		a.o.Logger.Info("the Alertmanager configuration was changed through the API", "by_api", src.byAPI, "at", r.By)
		return nil
	})
}
