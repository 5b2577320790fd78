package flags

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"loyalty/eventstore/embedded"
)

// EventStoreAccess are the flags that let other programs reach the embedded event store over TCP.
type EventStoreAccess struct {
	EventstoreAddr  string `help:"Address on which other programs reach the event store; none by default. Other machines need TLS and users." placeholder:"HOST:PORT"`
	EventstoreCert  string `help:"File with its certificate, in PEM." placeholder:"FILE"`
	EventstoreKey   string `help:"File with the certificate's private key, in PEM." placeholder:"FILE"`
	EventstoreUsers string `help:"File with who may use it, a line of NAME:PASSWORD each; those below a line [administrators] may do everything. Readable by you alone." placeholder:"FILE"`

	EventstoreVersion string `help:"Version of EventStoreDB or KurrentDB as which it behaves, to try things with the one you run: one of ${eventstore_versions}; the newest by default." env:"LOYALTY_EVENTSTORE_VERSION" placeholder:"VERSION"`
}

// options checks the flags and reads their files.
func (a EventStoreAccess) options() (embedded.Options, error) {
	o := embedded.Options{Addr: a.EventstoreAddr, Version: a.EventstoreVersion}
	if known := embedded.Versions(); o.Version != "" && !slices.Contains(known, o.Version) {
		return o, fmt.Errorf("--eventstore-version %s is not known: choose one of %s", o.Version, strings.Join(known, ", "))
	}
	if a.EventstoreAddr == "" {
		if a.EventstoreCert != "" || a.EventstoreKey != "" || a.EventstoreUsers != "" {
			return o, errors.New("a certificate and users for the event store need --eventstore-addr: without it, nothing listens")
		}
		return o, nil
	}
	if (a.EventstoreCert == "") != (a.EventstoreKey == "") {
		return o, errors.New("--eventstore-cert and --eventstore-key go together")
	}
	if a.EventstoreCert != "" {
		certificate, err := tls.LoadX509KeyPair(a.EventstoreCert, a.EventstoreKey)
		if err != nil {
			return o, fmt.Errorf("the event store's certificate: %w", err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	if a.EventstoreUsers != "" {
		var err error
		if o.Users, err = readUsers(a.EventstoreUsers); err != nil {
			return o, fmt.Errorf("--eventstore-users: %w", err)
		}
	}
	return o, nil
}

// Hint is what the printed address needs to be a connection string.
func (a EventStoreAccess) Hint() string {
	switch {
	case a.EventstoreCert == "":
		return "?tls=false"
	case a.EventstoreUsers == "":
		return ""
	}
	return ", for its users"
}

// The lines in a file of users that say of which kind those below it are. No line of a user looks like that, since it has a colon.
const (
	ordinaryUsers  = "[users]"
	administrators = "[administrators]"
)

// readUsers reads lines of NAME:PASSWORD, of users, until a line says that administrators follow. Errors name lines by number only, since
// their content is secret.
func readUsers(file string) (map[string]embedded.User, error) {
	f, err := openPrivate(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	users := map[string]embedded.User{}
	var administrator bool
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if line == ordinaryUsers || line == administrators {
			administrator = line == administrators
			continue
		}
		name, password, _ := strings.Cut(line, ":")
		if name == "" || password == "" {
			return nil, fmt.Errorf("%s: line %d is neither NAME:PASSWORD nor %s nor %s", file, n, administrators, ordinaryUsers)
		}
		if before, twice := users[name]; twice && before.Administrator != administrator {
			return nil, fmt.Errorf("%s: line %d makes a user an administrator who is an ordinary user, too, or the other way round", file, n)
		}
		users[name] = embedded.User{Password: password, Administrator: administrator}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("%s holds no user", file)
	}
	return users, nil
}
