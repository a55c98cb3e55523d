package notify

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// saveSilences writes all silences durably.
func (a *Alertmanager) saveSilences() (int64, error) { return a.save("silences", a.silences.Snapshot) }

// saveLog writes the notification log durably.
func (a *Alertmanager) saveLog() error {
	_, err := a.save("nflog", a.nflog.Snapshot)
	return err
}

// save writes a snapshot: a new file, synced, renamed over the old one, the
// folder synced.
func (a *Alertmanager) save(name string, snapshot func(io.Writer) (int64, error)) (int64, error) {
	a.saving.Lock()
	defer a.saving.Unlock()
	f, err := os.CreateTemp(a.o.Dir, name+"-*")
	if err != nil {
		return 0, fmt.Errorf("cannot save %s: %w", name, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	n, err := snapshot(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), a.file(name))
	}
	if err == nil {
		err = syncDir(a.o.Dir)
	}
	if err != nil {
		return n, fmt.Errorf("cannot save %s: %w", name, err)
	}
	return n, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

func isSilence(path string) bool { return strings.Contains(path, "/silence") }

// heldResponse keeps an answer back until what it promises is true.
type heldResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldResponse) Header() http.Header { return h.header }

func (h *heldResponse) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *heldResponse) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(b)
}

func (h *heldResponse) send(w http.ResponseWriter) {
	for k, v := range h.header {
		w.Header()[k] = v
	}
	if h.status == 0 {
		h.status = http.StatusOK
	}
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes())
}
