package notify

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/alert/shared"
	"braid/pkg/model"
)

func TestOnlyPublicAddressesMayBeReached(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "0.0.0.0",
		"192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "fec0::1"} {
		require.ErrorIs(t, egress{}.check(netip.MustParseAddr(a)), ErrEgress, a)
	}
	for _, a := range []string{"1.1.1.1", "172.32.0.1", "192.169.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"} {
		require.NoError(t, egress{}.check(netip.MustParseAddr(a)), a)
	}
	allow, err := ParseAllow([]string{"10.1.0.0/16", "fd12::/16", "169.254.7.7"})
	require.NoError(t, err)
	e := egress{allow}
	for _, a := range []string{"10.1.2.3", "fd12::5", "169.254.7.7", "::ffff:10.1.0.1"} {
		require.NoError(t, e.check(netip.MustParseAddr(a)), a)
	}
	for _, a := range []string{"10.2.0.1", "fd13::5", "169.254.169.254"} {
		require.ErrorIs(t, e.check(netip.MustParseAddr(a)), ErrEgress, a)
	}
	for _, bad := range []string{"10.1", "localhost", "10.0.0.0/40", "::ffff:10.0.0.0/104", "fe80::1%eth0", ""} {
		_, err := ParseAllow([]string{bad})
		require.Error(t, err, bad)
	}
	_, err = e.dial(context.Background(), "unix", "/run/docker.sock")
	require.ErrorIs(t, err, ErrEgress)
}

// settingsWith is a configuration with one webhook.
func settingsWith(url string) Settings {
	return Settings{Config: fmt.Sprintf("route: {receiver: hook, group_by: [alertname], group_wait: 10ms}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", url)}
}

func allowed(t *testing.T, networks ...string) func() Policy {
	t.Helper()
	allow, err := ParseAllow(networks)
	require.NoError(t, err)
	return func() Policy { return Policy{API: true, Allow: allow} }
}

// A receiver that came by the API reaches nothing inside: not by address, not by
// a name, not by a redirect from where it may go.
func TestReceiversSetByAPIReachOnlyWhatTheyMay(t *testing.T) {
	touched := make(chan string, 100)
	inside := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { touched <- r.URL.Path }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.2:0")
	require.NoError(t, err)
	moved := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.RedirectHandler(inside.URL+"/redirected", http.StatusTemporaryRedirect)}}
	moved.Start()
	defer moved.Close()

	var o Options
	for _, url := range []string{inside.URL, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port, moved.URL} {
		o = Options{Dir: filepath.Join(t.TempDir(), "am"), Policy: allowed(t, "127.0.0.2/32")}
		require.ErrorIs(t, firstOutcome(t, o, settingsWith(url)), ErrEgress, url)
		require.Empty(t, touched, url)
	}
	o = Options{Dir: filepath.Join(t.TempDir(), "am"), Policy: allowed(t, "127.0.0.2/32")}
	token := settingsWith(moved.URL)
	token.Config = strings.Replace(token.Config, "{url:", fmt.Sprintf("{http_config: {oauth2: {client_id: a, client_secret: b, token_url: %q}}, url:", inside.URL), 1)
	require.ErrorIs(t, firstOutcome(t, o, token), ErrEgress)
	require.Empty(t, touched, "the address of an OAuth 2 token")
	o = Options{Dir: filepath.Join(t.TempDir(), "am"), Policy: allowed(t, "127.0.0.2/32")}
	require.ErrorIs(t, firstOutcome(t, o, settingsWith(moved.URL)), ErrEgress)
	// An address that the operator allows is reached, and what was set, and has not
	// been paged, outlives the process.
	o.Policy = allowed(t, "127.0.0.0/8", "::1")
	a := start(t, o)
	require.Equal(t, "/redirected", <-touched)
	require.NoError(t, a.Close())
}

// firstOutcome sets a configuration, lets an alert fire, and returns what became
// of the first attempt to page.
func firstOutcome(t *testing.T, o Options, s Settings) error {
	t.Helper()
	ch := make(chan Outcome, 1)
	o.Observe = func(out Outcome) {
		select {
		case ch <- out:
		default:
		}
	}
	a := start(t, o)
	require.NoError(t, a.Set(s, "me"))
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	out := <-ch
	require.NoError(t, a.Close())
	return out.Err
}

func TestMailServersSetByAPIAreCheckedToo(t *testing.T) {
	mails := newMailServer(t)
	set := func(host string) Settings {
		return Settings{Config: fmt.Sprintf("route: {receiver: mail, group_by: [alertname], group_wait: 10ms}\nreceivers: [{name: mail, email_configs: [{to: a@example.org, from: b@example.org, smarthost: '%s:%s', require_tls: false}]}]\n", host, mails.port)}
	}
	for i, host := range []string{"127.0.0.1", "localhost"} {
		o := Options{Dir: filepath.Join(t.TempDir(), "am"), Policy: allowed(t)}
		require.ErrorIs(t, firstOutcome(t, o, set(host)), ErrEgress, host)
		require.EqualValues(t, i, mails.connections())
		o = Options{Dir: filepath.Join(t.TempDir(), "am"), Policy: allowed(t, "127.0.0.0/8", "::1")}
		require.NoError(t, firstOutcome(t, o, set(host)), host)
		require.NotEmpty(t, (<-mails.got).body)
	}
}

// The operator's own file may name any address, unless the operator says
// otherwise.
func TestGuardOfTheFile(t *testing.T) {
	url, pages := hook(t)
	dir := t.TempDir()
	ch, observe := outcomes()
	guard := false
	a := start(t, Options{ConfigFile: write(t, dir, hookConfig(url)), Dir: filepath.Join(dir, "am"), Observe: observe,
		Policy: func() Policy { return Policy{GuardFile: guard} }})
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	require.NoError(t, (<-ch).Err)
	<-pages
	guard = true
	require.NoError(t, a.Reload())
	require.NoError(t, a.Put(context.Background(), firing("Y", "1")))
	require.ErrorIs(t, (<-ch).Err, ErrEgress)
	require.Empty(t, pages)
	require.NoError(t, a.Close())
}

func TestSettingsNeedLeave(t *testing.T) {
	url, pages := hook(t)
	dir := t.TempDir()
	api := false
	o := Options{ConfigFile: write(t, dir, hookConfig(url)), Dir: filepath.Join(dir, "am"), Policy: func() Policy { return Policy{API: api} }}
	a := start(t, o)
	for _, err := range []error{a.Set(settingsWith("http://192.0.2.1"), "me"), a.Unset("me"), a.Take(shared.Record{Stamp: shared.Stamp{At: 1}, Gone: true})} {
		require.ErrorIs(t, err, ErrForbidden)
		require.ErrorContains(t, err, "alerting.receivers.api")
	}
	api = true
	require.NoError(t, a.Set(settingsWith("http://192.0.2.1"), "me"))
	require.NoError(t, a.Close())
	// Taken back by the operator: what was set is not in force.
	api = false
	a = start(t, o)
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	require.Equal(t, "firing", (<-pages).Status)
	require.NoError(t, a.Close())
}

func TestSettingsAreCheckedKeptAndTakenBack(t *testing.T) {
	url, pages := hook(t)
	dir, disk := t.TempDir(), vfs.NewCrashable()
	o := Options{ConfigFile: write(t, dir, hookConfig(url)), Dir: "/am", FS: disk, Policy: allowed(t, "127.0.0.0/8")}
	a := start(t, o)
	_, err := a.Settings()
	require.ErrorIs(t, err, model.ErrNotFound)
	const ok = "route: {receiver: r}\nreceivers: [{name: r, %s}]\n"
	for part, says := range map[string]string{
		"webhook_configs: [{url: 'http://x.example', http_config: {proxy_url: 'http://10.0.0.1'}}]":                                                   "receivers[0].webhook_configs[0].http_config.proxy_url",
		"webhook_configs: [{url: 'http://x.example', http_config: {proxy_from_environment: true}}]":                                                   "proxy_from_environment",
		"webhook_configs: [{url_file: /etc/passwd}]":                                                                                                  "url_file",
		"webhook_configs: [{url: 'http://x.example', http_config: {authorization: {credentials_file: /etc/passwd}}}]":                                 "credentials_file",
		"webhook_configs: [{url: 'http://x.example', http_config: {basic_auth: {username: u, password_file: /etc/passwd}}}]":                          "password_file",
		"webhook_configs: [{url: 'http://x.example', http_config: {tls_config: {ca_file: /etc/passwd}}}]":                                             "ca_file",
		"webhook_configs: [{url: 'http://x.example', http_config: {http_headers: {X: {files: [/etc/passwd]}}}}]":                                      "files",
		"webhook_configs: [{url: 'http://x.example', http_config: {oauth2: {client_id: a, client_secret_file: /etc/passwd, token_url: 'http://x'}}}]": "client_secret_file",
		"slack_configs: [{channel: c, api_url_file: /etc/passwd}]":                                                                                    "api_url_file",
		"pagerduty_configs: [{routing_key_file: /etc/passwd}]":                                                                                        "routing_key_file",
		"sns_configs: [{topic_arn: 'arn:aws:sns:x:1:t', sigv4: {region: x}}]":                                                                         "sns_configs",
		"webhook_configs: [{url: 'http://<secret>'}]":                                                                                                 "<secret>",
		"webhook_configs: [{url: 'http://x.example', surprise: 1}]":                                                                                   "surprise",
	} {
		err := a.Set(Settings{Config: fmt.Sprintf(ok, part)}, "me")
		require.ErrorIs(t, err, model.ErrInvalid, part)
		require.ErrorContains(t, err, says)
	}
	for text, says := range map[string]string{
		"": "empty",
		"global: {smtp_auth_password_file: /etc/passwd}\nroute: {receiver: r}\nreceivers: [{name: r}]\n": "global.smtp_auth_password_file",
		"templates: [/etc/passwd]\nroute: {receiver: r}\nreceivers: [{name: r}]\n":                       "/etc/passwd",
		"route: {receiver: other}\nreceivers: [{name: r}]\n":                                             "other",
	} {
		err := a.Set(Settings{Config: text}, "me")
		require.ErrorIs(t, err, model.ErrInvalid, text)
		require.ErrorContains(t, err, says)
	}
	_, err = a.Settings()
	require.ErrorIs(t, err, model.ErrNotFound, "what was refused left nothing")
	bad := settingsWith(url)
	bad.Templates = map[string]string{"mine.tmpl": "{{ nope"}
	require.ErrorContains(t, a.Set(bad, "me"), "mine.tmpl")

	good := Settings{Config: fmt.Sprintf("templates: [mine.tmpl]\nroute: {receiver: hook, group_wait: 10ms}\nreceivers: [{name: hook, webhook_configs: [{url: '%s/{{ template \"where\" . }}', http_config: {bearer_token: hush}}]}]\n", url),
		Templates: map[string]string{"mine.tmpl": `{{ define "where" }}there{{ end }}`}}
	require.NoError(t, a.Set(good, "me"))
	// Answered for: it survives loss of power.
	o.FS = disk.CrashClone(nil)
	require.NoError(t, a.Close())
	a = start(t, o)
	shown, err := a.Settings()
	require.NoError(t, err)
	require.NotContains(t, shown.Config, "hush")
	require.Equal(t, good.Templates, shown.Templates)
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	require.Equal(t, "firing", (<-pages).Status)

	// Of two alerters' changes the newer is in force.
	r := *a.Record()
	older := shared.Record{Stamp: shared.Stamp{At: r.At - 1, By: "other"}, Gone: true}
	require.NoError(t, a.Take(older))
	require.Equal(t, r, *a.Record())
	newer := shared.Record{Stamp: shared.Stamp{At: r.At + int64(time.Hour/time.Millisecond), By: "other"}, Gone: true}
	require.NoError(t, a.Take(newer))
	_, err = a.Settings()
	require.ErrorIs(t, err, model.ErrNotFound)
	require.NoError(t, a.Set(good, "me"), "also when its clock is behind")
	require.Equal(t, newer.At+1, a.Record().At)
	require.NoError(t, a.Unset("me"))
	require.ErrorIs(t, a.Unset("me"), model.ErrNotFound)
	require.NoError(t, a.Close())
}

// What an older version took and this one does not must not keep the operator's
// configuration from paging, and can be taken back.
func TestSettingsThatCannotBeReadAnyMore(t *testing.T) {
	url, pages := hook(t)
	dir := t.TempDir()
	o := Options{ConfigFile: write(t, dir, hookConfig(url)), Dir: filepath.Join(dir, "am"), Policy: allowed(t)}
	a := start(t, o)
	require.NoError(t, a.Set(settingsWith("http://192.0.2.1"), "me"))
	require.NoError(t, a.Close())
	path := filepath.Join(o.Dir, settingsFile)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(b, []byte("receiver: hook"), []byte("receiver: gone"), 1), 0o600))
	a = start(t, o)
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	require.Equal(t, "firing", (<-pages).Status)
	require.NoError(t, a.Unset("me"))
	require.ErrorIs(t, a.Unset("me"), model.ErrNotFound)
	require.NoError(t, a.Close())
}
