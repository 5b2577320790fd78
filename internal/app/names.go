package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// How long a process that starts waits for a store to say whose names it has, and how often it asks those that have not said so.
const (
	namesTimeout = time.Second
	namesPause   = 2 * time.Second

	// unnamedTimeout is the longest look into a ledger whose checkpoint does not say whose names it has.
	unnamedTimeout = 10 * time.Second
)

// CheckNames returns domain.ErrOtherNames, as a ConfigError that says what to do, if the ledger or a shared leaderboard has names that were made with
// another secret than proxies. A store that is away, or has no names yet, is no error; known is then false.
func (s Stores) CheckNames(ctx context.Context, proxies domain.Proxies) (known bool, err error) {
	known = true
	check := func(readModel string, read func(context.Context) (domain.Checkpoint, error)) {
		asking, cancel := context.WithTimeout(ctx, namesTimeout)
		defer cancel()
		at, failed := read(asking)
		other := at.CheckNames(proxies.Fingerprint())
		if failed == nil && at.Names == "" && s.Ledger != nil {
			other = s.checkUnnamed(ctx, proxies)
		}
		known = known && failed == nil && at.Names != ""
		err = errors.Join(err, otherNames(other, readModel, "loyalty rebuild "+readModel+" --from-nothing"))
	}
	if s.Ledger != nil {
		check("ledger", s.Ledger.Checkpoint)
	}
	if s.Shared != nil {
		check("leaderboard", s.Shared.Checkpoint)
	}
	return known, err
}

// checkUnnamed is domain.ErrOtherNames if customers in the ledger have other names. It is for read models whose checkpoint an earlier version of the
// program wrote.
func (s Stores) checkUnnamed(ctx context.Context, proxies domain.Proxies) error {
	ctx, cancel := context.WithTimeout(ctx, unnamedTimeout)
	defer cancel()
	if same, err := ledger.NamedBy(ctx, s.Ledger, proxies); err != nil || same {
		return nil // what can't be read now is read again
	}
	return domain.ErrOtherNames
}

// otherNames says of domain.ErrOtherNames what to do.
func otherNames(err error, readModel, rebuild string) error {
	if err == nil {
		return nil
	}
	return ConfigError{fmt.Errorf("the %s: %w: give this process the secret of the others, in LOYALTY_PROXY_SECRET or as proxy.secret in its data folder; with text: before it "+
		"where an earlier version of loyalty serve made the names from such a text. "+
		"Only if everybody is to have another name, stop all processes and run %s with the new one", readModel, err, rebuild)}
}

// awaitNames asks the stores until all have said that they have the names of this process, or ctx ends. It returns domain.ErrOtherNames if one
// has others.
func (p *Process) awaitNames(ctx context.Context, proxies domain.Proxies) error {
	for {
		if known, err := p.CheckNames(ctx, proxies); known || err != nil {
			return err
		}
		if !pause(ctx, namesPause) {
			return nil
		}
	}
}
