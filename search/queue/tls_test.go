package queue

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// certificate makes one signed by parent, or by itself, and its files.
func certificate(t *testing.T, dir, name string, parent *tls.Certificate) (cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: parent == nil,
	}
	signer, by := c, any(key)
	if parent != nil {
		signer, by = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, signer, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for file, data := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if cert, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	return cert, certFile, keyFile
}

// TestTLS: a server that asks for a client certificate, and one that is asked
// for by those who do not trust it or have none.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, caFile, _ := certificate(t, dir, "ca", nil)
	cert, _, _ := certificate(t, dir, "server", &ca)
	_, certFile, keyFile := certificate(t, dir, "client", &ca)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, "js"),
		TLS: true, TLSVerify: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	url := "tls://" + s.Addr().String()
	for name, at := range map[string]struct {
		server Server
		want   string // in the error
	}{
		"good":           {Server{URL: url, CA: caFile, Cert: certFile, Key: keyFile}, ""},
		"no trust":       {Server{URL: url, Cert: certFile, Key: keyFile}, "certificate signed by unknown authority"},
		"no certificate": {Server{URL: url, CA: caFile}, "certificate"},
		"no key":         {Server{URL: url, CA: caFile, Cert: certFile}, "go together"},
		"no file":        {Server{URL: url, CA: filepath.Join(dir, "nowhere")}, "nowhere: no such file"},
		"no URL":         {Server{CA: caFile}, "no URL"},
	} {
		_, err := at.server.connect("test", func(string, ...any) {})
		switch {
		case at.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case at.want != "" && (err == nil || !strings.Contains(err.Error(), at.want)):
			t.Errorf("%s: error %v, want %q in it", name, err, at.want)
		}
	}
	f := &fake{steps: 1}
	q, _ := open(t, dir, f, func(o *Options) {
		o.Server = Server{URL: url, CA: caFile, Cert: certFile, Key: keyFile}
	})
	if err := trainAll(t.Context(), q, trials(t, dir, 2), 1); err != nil {
		t.Error(err)
	}
}
