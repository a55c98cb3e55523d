package notify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs certificates of 127.0.0.1 that are valid until a time.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-96 * time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) sign(t *testing.T, until time.Time) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(until.UnixNano()), Subject: pkix.Name{CommonName: "pager"},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

// A receiver whose certificate has expired is told once it is renewed, and until
// then the failure is seen and says why.
func TestReceiverWithExpiredCertificate(t *testing.T) {
	issuer := newAuthority(t)
	expired, renewed := issuer.sign(t, time.Now().Add(-time.Hour)), issuer.sign(t, time.Now().Add(time.Hour))
	var current atomic.Pointer[tls.Certificate]
	current.Store(&expired)
	got := make(chan struct{}, 10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got <- struct{}{} }))
	srv.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*current.Load()}}, nil
	}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, issuer.pem, 0o600))
	text := fmt.Sprintf("route: {receiver: hook, group_wait: 10ms}\nreceivers: [{name: hook, webhook_configs: [{url: %q, http_config: {tls_config: {ca_file: %q}}}]}]\n", srv.URL, ca)
	outcomes := make(chan Outcome, 1000)
	a := start(t, Options{ConfigFile: write(t, dir, text), Dir: filepath.Join(dir, "am"), Observe: func(o Outcome) {
		select {
		case outcomes <- o:
		default:
		}
	}})
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	require.ErrorContains(t, (<-outcomes).Err, "expired")
	require.Empty(t, got)
	current.Store(&renewed)
	for o := range outcomes {
		if o.Err == nil {
			break
		}
	}
	require.Len(t, got, 1)
	require.NoError(t, a.Close())
}
