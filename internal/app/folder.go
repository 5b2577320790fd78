package app

import (
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
	"loyalty/internal/secret"
)

// Folder is a data folder: the embedded stores and the secrets of "loyalty dev".
type Folder string

// DefaultFolder is the data folder where none is named.
const DefaultFolder = "loyalty-data"

// EventStoreDir is the folder of the event store.
func (f Folder) EventStoreDir() string { return filepath.Join(string(f), "eventstore") }

// LedgerFile is the SQLite file of the ledger.
func (f Folder) LedgerFile() string { return filepath.Join(string(f), "ledger.sqlite") }

// HistoryDir is the folder of the leaderboard's history.
func (f Folder) HistoryDir() string { return filepath.Join(string(f), "history") }

// BoardsDir is the folder of the leaderboards in memory.
func (f Folder) BoardsDir() string { return filepath.Join(string(f), "leaderboards") }

// TokenSecretFile holds the secret that signs tokens, in hexadecimal.
func (f Folder) TokenSecretFile() string { return filepath.Join(string(f), "token.secret") }

// ProxySecretFile holds the secret that proxy names are made with, in hexadecimal.
func (f Folder) ProxySecretFile() string { return filepath.Join(string(f), "proxy.secret") }

// Check returns an error (fs.ErrNotExist) if no process has used the folder yet.
func (f Folder) Check() error {
	if _, err := os.Stat(f.EventStoreDir()); err != nil {
		return fmt.Errorf("%s is no data folder of loyalty: name the one that loyalty dev --data was given (%w)", f, err)
	}
	return nil
}

// Secrets makes the proxies and the verifier from the folder's secrets. It generates secrets that are missing.
func (f Folder) Secrets() (domain.Proxies, *auth.Verifier, error) {
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
	verifier, err := auth.NewSecretVerifier(tokenSecret, auth.Settings{}, time.Now)
	return proxies, verifier, err
}

// Mint makes a token, valid for ttl, that the folder's process accepts. It returns fs.ErrNotExist if the folder has no secret yet, and
// domain.ErrInvalid for claims that no verifier accepts.
func (f Folder) Mint(c auth.Claims, ttl time.Duration) (string, error) {
	key, err := ReadSecret(f.TokenSecretFile())
	if err != nil {
		return "", err
	}
	return auth.Mint(key, c, ttl, time.Now())
}

// SecretLength is the length of a generated secret in bytes.
const SecretLength = 32

// openSecret reads a secret, and generates it if there is none.
func openSecret(file string) ([]byte, error) {
	key, err := ReadSecret(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, SecretLength)
	rand.Read(key) // never fails
	// Written to another file and renamed, so that a crash leaves no partial secret.
	staging := file + ".new"
	if err := os.WriteFile(staging, []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
		return nil, err
	}
	return key, os.Rename(staging, file)
}

// ReadSecret reads a secret as secret.Key does. It is an error if other users could read the file, and fs.ErrNotExist if there is none.
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
	key, err := secret.Key(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s holds no secret: restore it, or delete it and start again (%w)", file, err)
	}
	return key, nil
}
