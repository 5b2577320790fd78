package flags

import (
	"context"
	"errors"
	"time"

	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/projections"
)

// Stores say which system a command works on: that of a data folder, or that of the three connection strings.
type Stores struct {
	Data app.Folder `help:"Data folder of loyalty dev, running or not, instead of the connections below." placeholder:"DIR"`
	Connections
	Proxy
}

// Open opens what is wanted. The caller closes it, also after an error.
func (f Stores) Open(ctx context.Context, want app.Wanted) (app.Stores, error) {
	c := app.Connections(f.Connections)
	if f.Data != "" {
		if err := f.Data.Check(); err != nil {
			return app.Stores{}, err
		}
		c = f.Data.Connections()
	}
	if c == (app.Connections{}) {
		return app.Stores{}, Usage(errors.New("which system? Name its data folder with --data, or set LOYALTY_EVENTSTORE, LOYALTY_LEDGER and LOYALTY_LEADERBOARD"))
	}
	return c.Open(ctx, want, app.Quiet())
}

func (f Stores) Proxies() (domain.Proxies, error) {
	if f.Data == "" {
		return f.Proxy.Proxies()
	}
	secret, err := app.ReadSecret(f.Data.ProxySecretFile())
	if err != nil {
		return domain.Proxies{}, err
	}
	return domain.NewProxies(secret)
}

// CatchUp brings the ledger of a data folder up to date if no process runs there that would: one that was killed may have left it
// behind the log.
func (f Stores) CatchUp(ctx context.Context, s app.Stores) error {
	if s.Server == nil || f.Data == "" {
		return nil
	}
	proxies, err := f.Proxies()
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
