package app

import (
	"context"
	"errors"
	"fmt"

	"loyalty/domain"
)

// readiness has for each role of the process what admin.Handler.Ready says about it.
func (p *Process) readiness() map[string]func(context.Context) error {
	checks := map[string]func(context.Context) error{"command": p.readyToCommand, "query": p.readyToQuery, "project": p.readyToProject}
	ready := map[string]func(context.Context) error{}
	for _, role := range p.Roles.names() {
		ready[role] = func(ctx context.Context) error {
			if p.stopping.Load() {
				return errStopping
			}
			return checks[role](ctx)
		}
	}
	return ready
}

// errStopping is why no role of a process that stops is ready, though it answers for a while.
var errStopping = errors.New("stopping")

// readyToCommand is nil while tokens can be verified and the event store answers.
func (p *Process) readyToCommand(ctx context.Context) error {
	if err := p.readyToVerify(); err != nil {
		return err
	}
	if err := p.Store.Ping(ctx); err != nil {
		return fmt.Errorf("the event store: %w", err)
	}
	return nil
}

// readyToQuery is nil while tokens can be verified, once the process had a leaderboard to show, and from then on. If all processes left the balancer because a projection
// has stopped or a store is away, nobody could look at what was folded so far.
func (p *Process) readyToQuery(ctx context.Context) error {
	if err := p.readyToVerify(); err != nil {
		return err
	}
	if p.shown.Load() {
		return nil
	}
	if p.board != nil {
		// Where its projection has stopped, the leaderboard will not become any newer, and is shown with its age.
		if status := p.board.Status(); !status.CaughtUp && status.Stopped == nil {
			return notCaughtUp(status.Name, status.Position)
		}
	}
	if _, err := p.Leaderboard.Checkpoint(ctx); err != nil {
		return fmt.Errorf("the leaderboard: %w", err)
	}
	p.shown.Store(true)
	return nil
}

// readyToVerify is nil while there is something to verify tokens with. Without, every request would be refused.
func (p *Process) readyToVerify() error {
	if p.keys == nil {
		return nil
	}
	return p.keys.Ready()
}

// readyToProject is nil if the projections that the role keeps have caught up once and none has stopped.
func (p *Process) readyToProject(context.Context) error {
	for _, runner := range p.essential {
		if runner == p.board {
			continue
		}
		switch status := runner.Status(); {
		case status.Stopped != nil:
			return status.Stopped
		case !status.CaughtUp:
			return notCaughtUp(status.Name, status.Position)
		}
	}
	return nil
}

func notCaughtUp(projection string, at domain.Position) error {
	return fmt.Errorf("projection %s: %w; it is at position %s", projection, domain.ErrNotCaughtUp, at)
}
