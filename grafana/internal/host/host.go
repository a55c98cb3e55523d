// Package host starts the plugin's program as Grafana does: with go-plugin's
// cookie in its environment, reading its address from what it prints, and
// speaking Grafana's plugin protocol with it over gRPC.
package host

import (
	"os/exec"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Start runs a program and connects to it. stop ends the program.
func Start(program string) (conn *grpc.ClientConn, stop func(), err error) {
	client := goplugin.NewClient(&goplugin.ClientConfig{
		Cmd: exec.Command(program),
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: grpcplugin.ProtocolVersion, MagicCookieKey: grpcplugin.MagicCookieKey, MagicCookieValue: grpcplugin.MagicCookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{grpcplugin.ProtocolVersion: {
			"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{}, "resource": &grpcplugin.ResourceGRPCPlugin{},
			"data": &grpcplugin.DataGRPCPlugin{}, "stream": &grpcplugin.StreamGRPCPlugin{},
		}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
		GRPCDialOptions:  []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20))},
	})
	connected, err := client.Client()
	if err != nil {
		client.Kill()
		return nil, nil, err
	}
	return connected.(*goplugin.GRPCClient).Conn, client.Kill, nil
}
