package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
)

// Folder is a data folder: what "loyalty dev" keeps between runs.
type Folder string

// DefaultFolder is where dev and token look unless told otherwise.
const DefaultFolder = "loyalty-data"

// eventStore, ledger, history, tokenSecret and proxySecret are what lies in it.
func (f Folder) EventStoreDir() string   { return filepath.Join(string(f), "eventstore") }
func (f Folder) LedgerFile() string      { return filepath.Join(string(f), "ledger.sqlite") }
func (f Folder) HistoryDir() string      { return filepath.Join(string(f), "history") }
func (f Folder) TokenSecretFile() string { return filepath.Join(string(f), "token.secret") }
func (f Folder) ProxySecretFile() string { return filepath.Join(string(f), "proxy.secret") }

// Check refuses a folder that no process has used yet.
func (f Folder) Check() error {
	if _, err := os.Stat(f.EventStoreDir()); err != nil {
		return fmt.Errorf("%s is no data folder of loyalty: name the one that loyalty dev --data was given (%w)", f, err)
	}
	return nil
}

// Secrets makes what the folder's secrets are for, and makes up those that aren't there yet.
func (f Folder) Secrets(context.Context) (domain.Proxies, *auth.Verifier, error) {
	tokenSecret, err := openSecret(f.TokenSecretFile())
	if err != nil {
		return domain.Proxies{}, nil, err
	}
	proxySecret, err := openSecret(f.ProxySecretFile())
	if err != nil {
		return domain.Proxies{}, nil, err
	}
	proxies, err := domain.NewProxies(proxySecret)
	if err != nil {
		return domain.Proxies{}, nil, err
	}
	verifier, err := auth.NewSecretVerifier(tokenSecret, time.Now)
	return proxies, verifier, err
}

// Mint makes a token that the folder's process accepts.
func (f Folder) Mint(c auth.Claims, ttl time.Duration) (string, error) {
	secret, err := ReadSecret(f.TokenSecretFile())
	if err != nil {
		return "", err
	}
	return auth.Mint(secret, c, ttl, time.Now())
}

// SecretLength is the length of a secret this program makes up, in bytes.
const SecretLength = 32

// openSecret reads a secret, and makes one up if there is none.
func openSecret(file string) ([]byte, error) {
	secret, err := ReadSecret(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	secret = make([]byte, SecretLength)
	rand.Read(secret) // never fails
	// Written beside it and renamed, so that a crash leaves no half of a secret.
	temporary := file + ".new"
	if err := os.WriteFile(temporary, []byte(hex.EncodeToString(secret)+"\n"), 0o600); err != nil {
		return nil, err
	}
	return secret, os.Rename(temporary, file)
}

// ReadSecret refuses a secret that others on the machine could read, and one too short to be one.
func ReadSecret(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read %s: run chmod 600 on it, or delete it and start again", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) < SecretLength {
		return nil, fmt.Errorf("%s does not hold %d bytes in hexadecimal: restore it, or delete it and start again", file, SecretLength)
	}
	return secret, nil
}
