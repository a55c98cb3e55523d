package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"braid/cmd/internal/app"
	"braid/cmd/internal/config"
)

// Version is set by the build (-ldflags -X).
var Version = "dev"

// version names the build, with the commit when it is not a release.
func version() string {
	if Version != "dev" {
		return Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return Version
}

// ServerFlags are those of every program that serves. Each has a key in the
// file and an environment variable; the flag wins, then the variable.
type ServerFlags struct {
	Config             string   `name:"config" help:"Configuration file (YAML). Without one every default is usable." env:"BRAID_CONFIG" type:"path" placeholder:"FILE"`
	DataDir            string   `name:"data-dir" help:"Folder for everything that is kept." env:"BRAID_DATA_DIR" type:"path" placeholder:"DIR"`
	HTTPListen         string   `name:"http.listen" help:"Address of the UI, the query APIs, health and metrics." env:"BRAID_HTTP_LISTEN" placeholder:"HOST:PORT"`
	GRPCListen         string   `name:"grpc.listen" help:"Address of the gRPC API." env:"BRAID_GRPC_LISTEN" placeholder:"HOST:PORT"`
	OTLPHTTPListen     string   `name:"otlp.http.listen" help:"Address for OTLP over HTTP." env:"BRAID_OTLP_HTTP_LISTEN" placeholder:"HOST:PORT"`
	OTLPGRPCListen     string   `name:"otlp.grpc.listen" help:"Address for OTLP over gRPC." env:"BRAID_OTLP_GRPC_LISTEN" placeholder:"HOST:PORT"`
	Rules              []string `name:"rules" help:"Prometheus rule files: a path or a glob; repeatable." env:"BRAID_RULES" placeholder:"GLOB"`
	AlertmanagerConfig string   `name:"alertmanager.config" help:"An alertmanager.yml, by which pages are sent." env:"BRAID_ALERTMANAGER_CONFIG" type:"path" placeholder:"FILE"`
	GossipListen       string   `name:"alerting.cluster.listen" help:"Address of the gossip with other alerters, of which then one pages." env:"BRAID_ALERTING_CLUSTER_LISTEN" placeholder:"HOST:PORT"`
	GossipAdvertise    string   `name:"alerting.cluster.advertise" help:"The address at which other alerters reach it." env:"BRAID_ALERTING_CLUSTER_ADVERTISE" placeholder:"HOST:PORT"`
	GossipPeers        []string `name:"alerting.cluster.peers" help:"Other alerters' gossip; repeatable." env:"BRAID_ALERTING_CLUSTER_PEERS" placeholder:"HOST:PORT"`
	Ingesters          []string `name:"ingesters" help:"gRPC addresses of ingesters, for a querier." env:"BRAID_INGESTERS" placeholder:"HOST:PORT"`
	Querier            string   `name:"querier" help:"gRPC address of a querier, for an alerter." env:"BRAID_QUERIER" placeholder:"HOST:PORT"`
	Write              string   `name:"write" help:"HTTP address of an ingester, to which an alerter writes recorded series." env:"BRAID_WRITE" placeholder:"URL"`
	Alerter            string   `name:"alerter" help:"HTTP address of the alerter, for a querier." env:"BRAID_ALERTER" placeholder:"URL"`
}

// load reads the file and puts flags and environment over it.
func (f *ServerFlags) load() (*config.Config, error) {
	c, err := config.Load(f.Config)
	if err != nil {
		return nil, err
	}
	set := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	set(&c.DataDir, f.DataDir)
	set(&c.HTTP.Listen, f.HTTPListen)
	set(&c.GRPC.Listen, f.GRPCListen)
	set(&c.OTLP.HTTP.Listen, f.OTLPHTTPListen)
	set(&c.OTLP.GRPC.Listen, f.OTLPGRPCListen)
	set(&c.Alerting.AlertmanagerConfig, f.AlertmanagerConfig)
	set(&c.Cluster.Querier, f.Querier)
	set(&c.Cluster.Write, f.Write)
	set(&c.Cluster.Alerter, f.Alerter)
	if len(f.Rules) > 0 {
		c.Alerting.Rules = f.Rules
	}
	set(&c.Alerting.Peers.Listen, f.GossipListen)
	set(&c.Alerting.Peers.Advertise, f.GossipAdvertise)
	if len(f.GossipPeers) > 0 {
		c.Alerting.Peers.Peers = f.GossipPeers
	}
	if len(f.Ingesters) > 0 {
		c.Cluster.Ingesters = f.Ingesters
	}
	return c, c.Validate()
}

// serve runs a role until a signal ends it; SIGHUP reloads.
func (f *ServerFlags) serve(role app.Role) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	return app.Run(ctx, app.Options{Role: role, ConfigFile: f.Config, Load: f.load, Version: version(), Reload: hup})
}

// Program runs a program of a single role: ingester, querier or alerter.
func Program(role app.Role, about string) {
	var flags struct {
		ServerFlags
		Version kong.VersionFlag `help:"Print the version."`
	}
	kong.Parse(&flags, kong.Name(role.String()), kong.Description(about), kong.Vars{"version": version()}, kong.UsageOnError())
	exit(flags.serve(role))
}

// exit ends the process, with the error if there is one.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
