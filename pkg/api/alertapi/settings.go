package alertapi

import (
	"errors"
	"io"
	"net/http"

	"go.yaml.in/yaml/v3"

	"braid/pkg/alert/notify"
	"braid/pkg/tenant"
)

// SettingsPath is where a tenant's Alertmanager configuration is kept, in the
// form of Mimir and Cortex. It is not at their path, /api/v1/alerts, which is
// where Prometheus lists alerts.
const SettingsPath = "/config/v1/alertmanager"

// settings answers with what the API has set, without secrets.
func (a *API) settings(w http.ResponseWriter, _ *http.Request, t tenant.ID) error {
	s, err := a.o.Pager.Settings(t)
	if err != nil {
		return err
	}
	return writeYAML(w, s)
}

func (a *API) setSettings(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
	s, err := readSettings(http.MaxBytesReader(w, r.Body, 2*maxBody))
	if err != nil {
		return err
	}
	if err := a.o.Pager.Set(t, s); err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, map[string]string{"status": "success"})
	return nil
}

func readSettings(body io.Reader) (s notify.Settings, err error) {
	dec := yaml.NewDecoder(body)
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		return s, invalid("cannot read the configuration as YAML with the keys alertmanager_config and template_files: %v", err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return s, invalid("the body holds more than one document")
	}
	return s, nil
}

func (a *API) unsetSettings(w http.ResponseWriter, _ *http.Request, t tenant.ID) error {
	if err := a.o.Pager.Unset(t); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "success"})
	return nil
}
