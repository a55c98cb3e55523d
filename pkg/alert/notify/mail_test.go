package notify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// mailServer stands in for a mail server: it speaks SMTP with STARTTLS and AUTH
// as RFC 5321, 3207 and 4954 have them.
type mailServer struct {
	port   string
	secure *tls.Config // nil: no STARTTLS
	got    chan gotMail
	conns  atomic.Int64
}

type gotMail struct {
	from, to, auth string
	encrypted      bool
	body           []byte
}

func newMailServer(t *testing.T, certs ...tls.Certificate) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &mailServer{got: make(chan gotMail, 10)}
	if len(certs) > 0 {
		s.secure = &tls.Config{Certificates: certs}
	}
	_, s.port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			go s.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return s
}

func (s *mailServer) connections() int64 { return s.conns.Load() }

func (s *mailServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(c)
	say := func(text string) { _, _ = fmt.Fprintf(c, "%s\r\n", text) }
	say("220 mail.example ESMTP")
	var m gotMail
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mail.example")
			if s.secure != nil && !m.encrypted {
				say("250-STARTTLS")
			}
			say("250-AUTH PLAIN LOGIN")
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			t := tls.Server(c, s.secure)
			if t.Handshake() != nil {
				return
			}
			c, in, m.encrypted = t, bufio.NewReader(t), true
		case "AUTH":
			m.auth = rest
			say("235 welcome")
		case "MAIL":
			m.from = rest
			say("250 ok")
		case "RCPT":
			m.to = rest
			say("250 ok")
		case "DATA":
			say("354 go ahead")
			var b bytes.Buffer
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			m.body = b.Bytes()
			s.got <- m
			say("250 queued")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// parts returns the text and the HTML of a mail.
func (m *gotMail) parts(t *testing.T) (subject string, parts map[string]string) {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(m.body))
	require.NoError(t, err, "%s", m.body)
	subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	require.NoError(t, err)
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts = map[string]string{}
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return subject, parts
		}
		require.NoError(t, err)
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		require.NoError(t, err)
		require.Equal(t, "quoted-printable", p.Header.Get("Content-Transfer-Encoding"))
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		require.NoError(t, err)
		parts[kind] = string(b)
	}
}

// outcomes are what became of notifications.
func outcomes() (chan Outcome, func(Outcome)) {
	ch := make(chan Outcome, 1000)
	return ch, func(o Outcome) {
		select {
		case ch <- o:
		default:
		}
	}
}

// The operator's example configuration's mail, through STARTTLS and AUTH, with
// the evidence in its body.
func TestMailCarriesTheEvidence(t *testing.T) {
	issuer := newAuthority(t)
	server := newMailServer(t, issuer.sign(t, time.Now().Add(time.Hour)))
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, issuer.pem, 0o600))
	templates, err := filepath.Abs("../../../deploy/templates/braid.tmpl")
	require.NoError(t, err)
	text := fmt.Sprintf(`templates: [%s]
route: {receiver: mail, group_wait: 10ms}
receivers:
- name: mail
  email_configs:
  - to: oncall@example.org
    from: braid@example.org
    smarthost: 127.0.0.1:%s
    auth_username: braid
    auth_password: opensesame
    tls_config: {ca_file: %s}
    headers: {Subject: '{{ template "braid.title" . }}'}
    html: '{{ template "braid.email.html" . }}'
    text: '{{ template "braid.text" . }}'
`, templates, server.port, ca)
	a := start(t, Options{ConfigFile: write(t, dir, text), Dir: filepath.Join(dir, "am")})
	x := firing("PaymentsRefused", "1")
	x.Annotations = model.LabelSet{"summary": "payment refuses", "braid_requests": "c0ffee payment POST /pay 502 slow", "braid_logs": "17 x card refused by <bank>",
		"braid_values": "3 9 27", "braid_different": "region=eu 98% here, 3% else", "braid_evidence_url": "https://braid.example/alerts/1", "runbook_url": "https://runbooks.example/refused"}
	require.NoError(t, a.Put(context.Background(), x))
	m := <-server.got
	require.NoError(t, a.Close())
	require.True(t, m.encrypted)
	require.True(t, strings.HasPrefix(m.auth, "PLAIN "), m.auth)
	require.Contains(t, m.to, "oncall@example.org")
	subject, parts := m.parts(t)
	require.Contains(t, subject, "PaymentsRefused")
	for kind, body := range parts {
		for _, part := range []string{"payment refuses", "c0ffee payment POST /pay 502", "card refused by", "3 9 27", "region=eu", "https://braid.example/alerts/1", "https://runbooks.example/refused"} {
			require.Contains(t, body, part, kind)
		}
	}
	require.Contains(t, parts["text/html"], "&lt;bank&gt;", "what a log line says is no HTML")
	require.Contains(t, parts["text/plain"], "<bank>")
}

// A mail server whose certificate has expired gets neither the mail nor the
// password.
func TestMailServerWithExpiredCertificate(t *testing.T) {
	issuer := newAuthority(t)
	server := newMailServer(t, issuer.sign(t, time.Now().Add(-time.Hour)))
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, issuer.pem, 0o600))
	ch, observe := outcomes()
	a := start(t, Options{Dir: filepath.Join(dir, "am"), Observe: observe, ConfigFile: write(t, dir, fmt.Sprintf(`route: {receiver: mail, group_wait: 10ms}
receivers: [{name: mail, email_configs: [{to: a@example.org, from: b@example.org, smarthost: '127.0.0.1:%s', auth_username: u, auth_password: p, tls_config: {ca_file: %s}}]}]
`, server.port, ca))})
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	require.ErrorContains(t, (<-ch).Err, "expired")
	require.Empty(t, server.got)
	require.NoError(t, a.Close())
}
