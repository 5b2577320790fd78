package flags

import (
	"errors"
	"fmt"
	"os"

	"loyalty/internal/secret"
)

// Signing is the flag for the secret that signs tokens.
type Signing struct {
	TokenSecret string `help:"What tokens are signed with (HS256): 32 random bytes, as openssl rand -hex 32 prints them. Set it in the environment or a file: other users of the machine see a command line." env:"LOYALTY_TOKEN_SECRET" placeholder:"TEXT"`
}

// Key is what tokens are signed with. A weak secret is a usage error.
func (f Signing) Key() ([]byte, error) {
	key, err := secret.Token(f.TokenSecret)
	if err != nil {
		err = Usage(fmt.Errorf("LOYALTY_TOKEN_SECRET is refused: %w", err))
	}
	return key, err
}

// openPrivate opens a file that only its owner can read. It is an error if others can.
func openPrivate(name string) (*os.File, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("others can read %s: run chmod 600 on it", name)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
