package lokiapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

const (
	// tailFlush is how long records wait to be sent together.
	tailFlush = 200 * time.Millisecond
	// maxTailFrame bounds the records of one frame; more are sent in the next.
	maxTailFrame = 1000
	// maxTailDelay is the most that delay_for may ask for.
	maxTailDelay = 5 * time.Second
	tailWrite    = 10 * time.Second
	tailPing     = 20 * time.Second
)

// tailRequest is what a tail asks for.
type tailRequest struct {
	sel   *logql.Selection
	query string
	start time.Time
	limit int
	delay time.Duration
}

// tail streams records as they are accepted over a WebSocket, after those
// since start that are stored already.
func (a *api) tail(w http.ResponseWriter, r *http.Request) {
	t, err := tenant.FromHTTP(r)
	if err == nil {
		err = r.ParseForm()
	}
	if err != nil {
		writeText(w, http.StatusBadRequest, err.Error())
		return
	}
	req, err := a.tailRequest(r)
	if err != nil {
		a.writeError(w, r, t, err)
		return
	}
	if a.Tail == nil {
		writeText(w, http.StatusNotImplemented, "tailing is not available on this server")
		return
	}
	select {
	case a.tails <- struct{}{}:
		defer func() { <-a.tails }()
	default:
		w.Header().Set("Retry-After", "10")
		writeText(w, http.StatusTooManyRequests, "too many tails are open at once, at most "+strconv.Itoa(a.MaxTails)+" are allowed")
		return
	}
	// A page of another site could otherwise read the logs through its visitor's
	// browser. Grafana's server and logcli send no Origin.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: a.AllowedOrigins, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	ctx := conn.CloseRead(r.Context())
	err = a.follow(ctx, conn, t, req, categorize(r))
	switch {
	case err == nil, ctx.Err() != nil:
		_ = conn.Close(websocket.StatusNormalClosure, "")
	default:
		_ = conn.Close(websocket.StatusInternalError, clipReason(err.Error()))
	}
}

// clipReason keeps a close reason within what a control frame holds.
func clipReason(s string) string { return s[:min(len(s), 120)] }

func (a *api) tailRequest(r *http.Request) (*tailRequest, error) {
	req := &tailRequest{query: r.Form.Get("query")}
	if req.query == "" {
		return nil, invalid("parameter query is missing: expected a log query")
	}
	var err error
	if req.sel, err = logql.ParseSelection(req.query); err != nil {
		return nil, err
	}
	if req.limit, err = intParam(r, "limit", 100); err != nil {
		return nil, err
	}
	req.limit = min(req.limit, a.Engine.Limits().MaxEntries)
	if req.start, err = timeParam(r, "start", a.Now().Add(-time.Hour)); err != nil {
		return nil, err
	}
	if s := r.Form.Get("delay_for"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || time.Duration(n)*time.Second > maxTailDelay {
			return nil, invalid("parameter delay_for=%q: expected whole seconds from 0 to %d", s, int(maxTailDelay.Seconds()))
		}
		req.delay = time.Duration(n) * time.Second
	}
	return req, nil
}

// follow sends what is stored, then what comes.
func (a *api) follow(ctx context.Context, conn *websocket.Conn, t tenant.ID, req *tailRequest, categorized bool) error {
	// Subscribed before the store is asked, nothing falls between the two; what
	// comes in both is told apart by the time of the newest stored record.
	reader := a.Tail(t)
	defer reader.Close()
	live, err := logql.NewTailer(req.sel)
	if err != nil {
		return err
	}
	frame := &tailFrame{conn: conn, categorized: categorized}
	if err := a.sendStored(ctx, t, req, frame, live); err != nil {
		return err
	}
	flush := time.NewTicker(max(tailFlush, req.delay))
	defer flush.Stop()
	ping := time.NewTicker(tailPing)
	defer ping.Stop()
	for {
		if frame.n >= maxTailFrame {
			if err := frame.send(ctx, reader.Dropped()); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case batch, ok := <-reader.Rows():
			if !ok {
				return errors.Join(frame.send(ctx, reader.Dropped()), errors.New("the server is shutting down"))
			}
			frame.add(live.Take(batch))
		case <-flush.C:
			if err := frame.send(ctx, reader.Dropped()); err != nil {
				return err
			}
		case <-ping.C:
			pctx, cancel := context.WithTimeout(ctx, tailWrite)
			err := conn.Ping(pctx)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// sendStored sends the newest records since start, oldest first.
func (a *api) sendStored(ctx context.Context, t tenant.ID, req *tailRequest, frame *tailFrame, live *logql.Tailer) error {
	if req.limit == 0 {
		return nil
	}
	now := a.Now()
	if !req.start.Before(now) {
		return nil
	}
	res, err := a.Engine.Eval(ctx, t, req.sel, logql.Params{Expr: req.query, Start: req.start, End: now, Limit: req.limit})
	if err != nil {
		return err
	}
	for i := range res.Streams {
		s := &res.Streams[i]
		for l, r := 0, len(s.Entries)-1; l < r; l, r = l+1, r-1 {
			s.Entries[l], s.Entries[r] = s.Entries[r], s.Entries[l]
		}
		live.Sent(s)
	}
	frame.add(res.Streams)
	return frame.send(ctx, 0)
}

// tailFrame gathers what the next message holds.
type tailFrame struct {
	conn        *websocket.Conn
	categorized bool
	streams     []logql.Stream
	n           int
}

func (f *tailFrame) add(streams []logql.Stream) {
	for _, s := range streams {
		f.n += len(s.Entries)
	}
	f.streams = append(f.streams, streams...)
}

type droppedEntry struct {
	Labels    map[string]string `json:"labels"`
	Timestamp string            `json:"timestamp"`
}

// send writes the frame; an empty one is not sent.
func (f *tailFrame) send(ctx context.Context, dropped int64) error {
	if f.n == 0 && dropped == 0 {
		return nil
	}
	streams := f.streams
	if !f.categorized {
		streams = flatten(streams)
	}
	var body bytes.Buffer
	e := encoder{w: &body}
	e.raw(`{"streams":`)
	e.streams(streams, f.categorized)
	if f.categorized {
		e.raw(`,"encodingFlags":["` + flagCategorize + `"]`)
	}
	if dropped > 0 {
		now := strconv.FormatInt(time.Now().UnixNano(), 10)
		list := make([]droppedEntry, min(dropped, 100))
		for i := range list {
			list[i] = droppedEntry{map[string]string{}, now}
		}
		b, err := json.Marshal(list)
		if err != nil {
			return err
		}
		e.raw(`,"dropped_entries":` + string(b))
	}
	e.raw("}")
	e.flush()
	f.streams, f.n = nil, 0
	wctx, cancel := context.WithTimeout(ctx, tailWrite)
	defer cancel()
	return f.conn.Write(wctx, websocket.MessageText, body.Bytes())
}
