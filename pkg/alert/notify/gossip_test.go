package notify

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/alert/shared"
)

// member is an alerter's gossip with one thing to share.
type member struct {
	*Peers
	set *shared.Set
	got chan shared.Record
}

// join begins the gossip of a member whose certificate is valid until a time.
func join(t *testing.T, issuer *authority, name string, until time.Time, peers ...string) *member {
	t.Helper()
	dir := t.TempDir()
	cert := issuer.sign(t, until)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	require.NoError(t, err)
	file := func(name string, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	file("ca.pem", issuer.pem)
	file("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
	file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	file("tls.yml", []byte(`tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}
tls_client_config: {cert_file: cert.pem, key_file: key.pem, ca_file: ca.pem}
`))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	m := &member{got: make(chan shared.Record, 100)}
	m.set = shared.New(shared.Options{Name: name, Records: func() ([]shared.Record, error) {
		return []shared.Record{{Key: name, Stamp: shared.Stamp{At: 1}, Text: "all of " + name}}, nil
	}, Take: func(list []shared.Record) {
		for _, r := range list {
			select {
			case m.got <- r:
			default:
			}
		}
	}})
	m.set.Start()
	m.Peers, err = Join(ClusterOptions{Listen: l.Addr().String(), Peers: peers, TLSConfig: filepath.Join(dir, "tls.yml"),
		Shared: map[string]*shared.Set{"things": m.set}})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = m.Leave()
		m.set.Close()
	})
	return m
}

// The gossip is encrypted and both ends show a certificate; who shows one that
// has expired neither hears nor is heard.
func TestGossipTLS(t *testing.T) {
	issuer := newAuthority(t)
	valid, expired := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	a := join(t, issuer, "a", valid)
	b := join(t, issuer, "b", valid, a.Address())
	require.Eventually(t, func() bool { return a.Members() == 2 && b.Members() == 2 }, time.Minute, 10*time.Millisecond)
	require.Equal(t, "all of b", (<-a.got).Text)
	require.Equal(t, "all of a", (<-b.got).Text)

	old := join(t, issuer, "old", expired, a.Address(), b.Address())
	require.Equal(t, 1, old.Members(), "joining was tried, and refused")
	old.set.Tell([]shared.Record{{Key: "old", Stamp: shared.Stamp{At: 2}, Text: "news of old"}})
	require.Eventually(t, func() bool {
		b.set.Tell([]shared.Record{{Key: "b", Stamp: shared.Stamp{At: 2}, Text: "news of b"}}) // gossip may lose a message
		select {
		case r := <-a.got:
			require.NotEqual(t, "old", r.Key)
			return r.Text == "news of b"
		default:
			return false
		}
	}, time.Minute, 20*time.Millisecond)
	require.Empty(t, old.got)
	require.Equal(t, 2, a.Members())

	plain, err := net.DialTimeout("tcp", a.Address(), time.Minute)
	require.NoError(t, err)
	_, _ = plain.Write([]byte("hello, not TLS\n"))
	require.NoError(t, plain.SetReadDeadline(time.Now().Add(time.Minute)))
	b1 := make([]byte, 1024)
	for err == nil {
		_, err = plain.Read(b1)
	}
	var timeout net.Error
	require.False(t, asTimeout(err, &timeout), "who does not speak TLS is hung up on")
	require.NoError(t, plain.Close())
}

func asTimeout(err error, to *net.Error) bool {
	e, ok := err.(net.Error)
	if ok {
		*to = e
	}
	return ok && e.Timeout()
}

func TestGossipTLSFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tls.yml")
	for _, text := range []string{"tls_server_config: {cert_fil: x}\n", "tls_client_config: {}\n"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := Join(ClusterOptions{Listen: "127.0.0.1:0", TLSConfig: path})
		require.ErrorContains(t, err, path)
	}
	_, err := Join(ClusterOptions{Listen: "127.0.0.1:0", TLSConfig: path + ".none"})
	require.ErrorContains(t, err, fmt.Sprint(path, ".none"))
}

// A configuration that is broken keeps the old one, and the error says the file,
// the line and why.
func TestReloadErrorsSayFileLineAndWhy(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, hookConfig("http://x.example"))
	a := start(t, Options{ConfigFile: path, Dir: filepath.Join(dir, "am")})
	for text, says := range map[string][]string{
		"route:\n  receiver: r\nreceivers:\n- name: r\n  webhok_configs: []\n": {"alertmanager.yml", "line 5", "webhok_configs"},
		"route:\n  receiver: r\n  group_wait: soon\nreceivers:\n- name: r\n":   {"alertmanager.yml: line 3", "soon"},
		"route: {receiver: gone}\nreceivers:\n- name: r\n":                     {"alertmanager.yml: line 1", "gone"},
		"route: {receiver: r\n": {"line "},
		"templates: ['*.tmpl']\nroute: {receiver: r}\nreceivers:\n- name: r\n":                  {"broken.tmpl:2"},
		"route:\n  receiver: r\n  routes:\n  - matchers: ['a=~\"(\"']\nreceivers:\n- name: r\n": {"("},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.tmpl"), []byte("\n{{ define \"x\" }}{{ nope }}{{ end }}\n"), 0o600))
		write(t, dir, text)
		err := a.Reload()
		require.ErrorContains(t, err, dir, text)
		for _, s := range says {
			require.ErrorContains(t, err, s)
		}
		require.Contains(t, *a.original.Load(), "hook", "the old one stays")
	}
	require.NoError(t, a.Close())
}
