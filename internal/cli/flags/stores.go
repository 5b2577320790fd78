package flags

import (
	"context"
	"errors"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/secret"
	"loyalty/projections"
)

// Connections are the flags for the three connection strings.
type Connections struct {
	Eventstore  Connection `help:"Where the events are: esdb://… for a cluster, embedded:DIR for a store in a folder." env:"LOYALTY_EVENTSTORE" placeholder:"URL"`
	Ledger      Connection `help:"Where the ledger is: postgres://… or sqlite:FILE." env:"LOYALTY_LEDGER" placeholder:"URL"`
	Leaderboard Connection `help:"Where the leaderboard is: redis://…, rediss://…, redis+cluster://…, redis+sentinel://…, or memory: for one in each process." env:"LOYALTY_LEADERBOARD" placeholder:"URL"`
}

// Config are the connections that the flags stand for.
func (f Connections) Config() app.Connections {
	return app.Connections{
		Eventstore: f.Eventstore.Text, Ledger: f.Ledger.Text, Leaderboard: f.Leaderboard.Text,
		EventstoreAgain: f.Eventstore.Again, LedgerAgain: f.Ledger.Again, LeaderboardAgain: f.Leaderboard.Again,
	}
}

// Proxy is the flag for the secret of proxy names.
type Proxy struct {
	ProxySecret string `help:"What proxy names are made with: 64 hexadecimal digits, or 32 bytes in base64, random; the same in every process, kept for ever. What loyalty dev keeps in proxy.secret is one." env:"LOYALTY_PROXY_SECRET" placeholder:"TEXT"`
}

// Proxies makes proxy names. Without a secret, or with a weak one, it is a usage error.
func (f Proxy) Proxies() (domain.Proxies, error) {
	if f.ProxySecret == "" {
		return domain.Proxies{}, Usage(errors.New("no secret for proxy names: set LOYALTY_PROXY_SECRET to what openssl rand -hex 32 prints, and keep it"))
	}
	key, err := secret.Key(f.ProxySecret)
	if err != nil {
		return domain.Proxies{}, Usage(fmt.Errorf("LOYALTY_PROXY_SECRET is refused: %w", err))
	}
	return domain.NewProxies(key)
}

// Stores are the flags of commands that work on a system: a data folder, or the three connection strings.
type Stores struct {
	Data app.Folder `help:"Data folder of loyalty dev, running or not, instead of the connections below." placeholder:"DIR"`
	Connections
	Proxy
}

// Open opens the stores that are wanted. The caller closes them, also after an error.
func (f Stores) Open(ctx context.Context, want app.Wanted) (app.Stores, error) {
	c := f.Connections.Config()
	if f.Data != "" {
		if err := f.Data.Check(); err != nil {
			return app.Stores{}, err
		}
		c = f.Data.Connections()
	}
	if c.Eventstore == "" && c.Ledger == "" && c.Leaderboard == "" {
		return app.Stores{}, Usage(errors.New("which system? Name its data folder with --data, or set LOYALTY_EVENTSTORE, LOYALTY_LEDGER and LOYALTY_LEADERBOARD"))
	}
	return c.Open(ctx, want, app.Quiet())
}

// Proxies makes proxy names with the secret of the data folder, or of the flag.
func (f Stores) Proxies() (domain.Proxies, error) {
	if f.Data == "" {
		return f.Proxy.Proxies()
	}
	key, err := app.ReadSecret(f.Data.ProxySecretFile())
	if err != nil {
		return domain.Proxies{}, err
	}
	return domain.NewProxies(key)
}

// ProxiesOf is Proxies for the read models in the stores: with another secret than theirs it is domain.ErrOtherNames.
func (f Stores) ProxiesOf(ctx context.Context, s app.Stores) (domain.Proxies, error) {
	proxies, err := f.Proxies()
	if err == nil {
		_, err = s.CheckNames(ctx, proxies)
	}
	return proxies, err
}

// CatchUp brings the ledger of a data folder up to date if no process is running there: one that was killed may have left it behind the
// log.
func (f Stores) CatchUp(ctx context.Context, s app.Stores) error {
	if s.Server == nil || f.Data == "" {
		return nil
	}
	proxies, err := f.ProxiesOf(ctx, s)
	if err != nil {
		return err
	}
	return app.ProjectUntil(ctx, s.Store, projections.Ledger{Writer: s.Ledger, Proxies: proxies}, func(ctx context.Context, r *projections.Runner) error {
		look := time.NewTicker(2 * time.Millisecond)
		defer look.Stop()
		for !r.Status().CaughtUp {
			select {
			case <-look.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
}

// With opens the ledger and the stores that are wanted, brings the ledger up to date if no process does, calls work, and closes the stores.
// domain.ErrInvalid from work becomes a usage error.
func (f Stores) With(ctx context.Context, want app.Wanted, work func(app.Stores) error) (err error) {
	want.Ledger = true
	s, err := f.Open(ctx, want)
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err == nil {
		err = f.CatchUp(ctx, s)
	}
	if err == nil {
		err = work(s)
	}
	if errors.Is(err, domain.ErrInvalid) {
		err = Usage(err)
	}
	return err
}
