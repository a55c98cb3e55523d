// Command bridge stands in for Grafana's server in tests of the front end: it
// answers the few HTTP requests that a data source of Grafana's runtime makes
// (query, resources, health) by starting the plugin's program and calling it over
// Grafana's plugin protocol, and serves the test page. It authenticates nobody: loopback only.
//
//	bridge --program dist/gpx_… --braid http://127.0.0.1:PORT --root DIR [--listen 127.0.0.1:0]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"google.golang.org/grpc"

	"braid/grafana/internal/host"
)

func main() {
	program := flag.String("program", "", "the plugin's program, which is started")
	braid := flag.String("braid", "", "URL of Braid")
	root := flag.String("root", ".", "folder to serve")
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	if err := run(*program, *braid, *root, *listen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program, braid, root, listen string) error {
	conn, stopProgram, err := host.Start(program)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", program, err)
	}
	defer stopProgram()
	b := &bridge{conn: conn, at: backend.PluginContext{OrgID: 1, PluginID: "braid-datasource", DataSourceInstanceSettings: &backend.DataSourceInstanceSettings{
		UID: "braid", Name: "Braid", URL: braid, JSONData: []byte("{}"), Updated: time.Unix(1, 0)}}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/ds/query", b.query)
	mux.HandleFunc("GET /api/datasources/uid/braid/health", b.health)
	mux.HandleFunc("/api/datasources/uid/braid/resources/{path...}", b.resource)
	mux.Handle("/", http.FileServer(http.Dir(root)))
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go func() {
		<-stop.Done()
		_ = server.Close()
	}()
	if err := server.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

type bridge struct {
	conn *grpc.ClientConn
	at   backend.PluginContext
}

// maxBody bounds one request.
const maxBody = 4 << 20

func (b *bridge) query(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		From, To string
		Queries  []json.RawMessage
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&asked); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	span := backend.TimeRange{From: millis(asked.From), To: millis(asked.To)}
	req := &backend.QueryDataRequest{PluginContext: b.at}
	for _, text := range asked.Queries {
		var q struct {
			RefID         string
			QueryType     string
			IntervalMs    int64
			MaxDataPoints int64
		}
		if err := json.Unmarshal(text, &q); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		req.Queries = append(req.Queries, backend.DataQuery{RefID: q.RefID, QueryType: q.QueryType, Interval: time.Duration(q.IntervalMs) * time.Millisecond,
			MaxDataPoints: q.MaxDataPoints, TimeRange: span, JSON: text})
	}
	proto, err := pluginv2.NewDataClient(b.conn).QueryData(r.Context(), backend.ToProto().QueryDataRequest(req))
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	answer, err := backend.FromProto().QueryDataResponse(proto)
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	status := http.StatusOK
	for _, one := range answer.Responses {
		if one.Error != nil {
			status = http.StatusBadRequest
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func millis(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (b *bridge) health(w http.ResponseWriter, r *http.Request) {
	answer, err := pluginv2.NewDiagnosticsClient(b.conn).CheckHealth(r.Context(), &pluginv2.CheckHealthRequest{PluginContext: backend.ToProto().PluginContext(b.at)})
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if answer.Status != pluginv2.CheckHealthResponse_OK {
		w.WriteHeader(http.StatusBadRequest)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"status": answer.Status.String(), "message": answer.Message})
}

func (b *bridge) resource(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/datasources/uid/braid/resources/")
	target := path
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	stream, err := pluginv2.NewResourceClient(b.conn).CallResource(r.Context(), backend.ToProto().CallResourceRequest(&backend.CallResourceRequest{
		PluginContext: b.at, Path: r.PathValue("path"), Method: r.Method, URL: target, Body: body}))
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	for first := true; ; first = false {
		part, err := stream.Recv()
		if err == io.EOF {
			return
		}
		if err != nil {
			if first {
				fail(w, http.StatusBadGateway, err)
			}
			return
		}
		if first {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(part.Code))
		}
		_, _ = w.Write(part.Body)
	}
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
}
