package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/internal/cli"
)

// certificateFiles makes a certificate for loopback that signs itself.
func certificateFiles(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	file(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public})), 0o600)
	file(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
	return cert, key
}

func file(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestOtherProgramsReachTheEventStoreOnlyAsItsUsers(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	cert, key := certificateFiles(t, dir)
	users := filepath.Join(dir, "users")
	file(t, users, "# who may\nanalyst:s3cret:with colon\n", 0o600)
	p := startDev(t, data, "--eventstore-addr", "127.0.0.1:0", "--eventstore-cert", cert, "--eventstore-key", key, "--eventstore-users", users)
	found := regexp.MustCompile(`esdb://(127\.0\.0\.1:\d+)`).FindStringSubmatch(p.out.String())
	if found == nil {
		t.Fatalf("it doesn't say where its event store is:\n%s", p.out.String())
	}
	var placed placedAnswer
	newClient(t, p, data).must(http.StatusCreated, &placed, buyer("bob"), http.MethodPost, "/order/o-1", orderBody(nil, "50.00"))

	for who, want := range map[string]esdb.ErrorCode{"analyst:s3cret%3Awith%20colon@": -1, "analyst:guess@": esdb.ErrorCodeUnauthenticated, "": esdb.ErrorCodeAccessDenied} {
		config, err := esdb.ParseConnectionString("esdb://" + who + found[1] + "?tlsCAFile=" + cert)
		if err != nil {
			t.Fatal(err)
		}
		config.Logger = nil
		db, err := esdb.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		got := esdb.ErrorCode(-1)
		stream, err := db.ReadStream(t.Context(), "order-customer.bob.o-1", esdb.ReadStreamOptions{}, 1)
		if err == nil {
			_, err = stream.Recv()
			stream.Close()
		}
		if e, ok := esdb.FromError(err); !ok {
			got = e.Code()
		}
		if got != want {
			t.Errorf("%q: got %v (code %d), want code %d", who, err, got, want)
		}
		_ = db.Close()
	}
	if text := p.out.String() + p.err.String(); strings.Contains(text, "s3cret") {
		t.Errorf("a password is printed:\n%s", text)
	}
}

func TestAnEventStoreForAllTheWorldIsRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificateFiles(t, dir)
	open, bad, none := filepath.Join(dir, "open"), filepath.Join(dir, "bad"), filepath.Join(dir, "none")
	file(t, open, "a:b\n", 0o644)
	file(t, bad, "a:b\nsecretwithoutname\n", 0o600)
	file(t, none, "# nobody\n", 0o600)
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--eventstore-addr", "0.0.0.0:0"}, cli.ExitFailed, "TLS and users"},
		{[]string{"--eventstore-addr", "0.0.0.0:0", "--eventstore-cert", cert, "--eventstore-key", key}, cli.ExitFailed, "users"},
		{[]string{"--eventstore-cert", cert, "--eventstore-key", key}, cli.ExitUsage, "--eventstore-addr"},
		{[]string{"--eventstore-addr", "127.0.0.1:0", "--eventstore-cert", cert}, cli.ExitUsage, "--eventstore-key"},
		{[]string{"--eventstore-addr", "127.0.0.1:0", "--eventstore-cert", key, "--eventstore-key", cert}, cli.ExitUsage, "certificate"},
		{[]string{"--eventstore-addr", "127.0.0.1:0", "--eventstore-users", open}, cli.ExitUsage, "chmod 600"},
		{[]string{"--eventstore-addr", "127.0.0.1:0", "--eventstore-users", bad}, cli.ExitUsage, "line 2"},
		{[]string{"--eventstore-addr", "127.0.0.1:0", "--eventstore-users", none}, cli.ExitUsage, "no user"},
		{[]string{"--eventstore-addr", "nowhere"}, cli.ExitFailed, "address"},
		{[]string{"--eventstore-version", "19.1"}, cli.ExitUsage, "23.10.8"},
	} {
		_, stderr, status := runProgram(t, append([]string{"dev", "--addr", "127.0.0.1:0", "--data", t.TempDir()}, c.args...)...)
		if status != c.status || !strings.Contains(stderr, c.says) || strings.Contains(stderr, "secretwithoutname") {
			t.Errorf("%v: exit status %d, says %q; want %d and %q", c.args, status, stderr, c.status, c.says)
		}
	}
}
