package notify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
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
	f, err := a.o.FS.Create(a.file(name + ".new"))
	if err != nil {
		return 0, fmt.Errorf("cannot save %s: %w", name, err)
	}
	n, err := snapshot(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = a.o.FS.Rename(a.file(name+".new"), a.file(name))
	}
	if err == nil {
		err = a.o.FS.SyncDir(a.o.Dir)
	}
	if err != nil {
		return n, fmt.Errorf("cannot save %s: %w", name, err)
	}
	return n, nil
}

// saved reads the last snapshot; nil when there is none.
func (a *Alertmanager) saved(name string) (io.Reader, error) {
	b, err := a.o.FS.ReadFile(a.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(b), nil
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
