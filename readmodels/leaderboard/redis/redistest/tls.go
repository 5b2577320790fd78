package redistest

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
	"sync"
	"testing"
	"time"
)

// authority is the one authority of this process, since the certificates that the process trusts are read once.
var authority = sync.OnceValues(func() (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redistest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &issuer{certificate, key}, err
})

type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Authority writes the certificate of the authority of the servers over TLS into a file, and returns its path, for SSL_CERT_FILE.
func Authority(t testing.TB) string {
	t.Helper()
	of, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, folder(t), "ca.pem", "CERTIFICATE", of.certificate.Raw)
}

// TrustAuthority has this process trust the servers over TLS until the test ends. No earlier test of the process may have trusted others: the
// certificates of the system are read once.
func TrustAuthority(t testing.TB) {
	t.Helper()
	t.Setenv("SSL_CERT_FILE", Authority(t))
}

// secure gives the server a certificate for its host alone, and returns what makes it listen with that.
func (s *Server) secure(host, port string) []string {
	s.t.Helper()
	of, err := authority()
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // servers are each other's clients
	}
	der, err := x509.CreateCertificate(rand.Reader, template, of.certificate, &key.PublicKey, of.key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(of.certificate)
	s.tls = &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	return []string{
		"port", "0", "tls-port", port, "tls-replication", "yes", "tls-cluster", "yes", "tls-auth-clients", "no",
		"tls-cert-file", writePEM(s.t, s.dir, "server.pem", "CERTIFICATE", der), "tls-key-file", writePEM(s.t, s.dir, "server.key", "PRIVATE KEY", private),
		"tls-ca-cert-file", writePEM(s.t, s.dir, "ca.pem", "CERTIFICATE", of.certificate.Raw),
	}
}

// writePEM writes a file that the user of servers can read, too, and returns its path.
func writePEM(t testing.TB, dir, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
