// Package staff answers support, and those who look at what support did: search, reveals, explanations, approvals and the audit log.
package staff

import (
	"context"

	"loyalty/api/admission"
	"loyalty/api/request"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/queries"
	"loyalty/readmodels/ledger"
)

// Reveals records that somebody is told which customers are behind a proxy name, from many goroutines at once. A commands.Handler does.
type Reveals interface {
	RevealProxyName(context.Context, commands.RevealProxyName) (commands.Revealed, error)
}

// Evidence explains entries of the ledger, from many goroutines at once. A queries.Explainer does.
type Evidence interface {
	Explain(context.Context, ledger.Entry) (queries.Explanation, error)
}

// Handler answers staff. Finder, Auditor, Evidence and Reveals may each be nil where the routes that need them are absent. It may be used
// from many goroutines at once.
type Handler struct {
	// Ledger, Finder and Auditor are the same ledger.
	Ledger   ledger.Reader
	Finder   ledger.Finder
	Auditor  ledger.Auditor
	Proxies  domain.Proxies
	Evidence Evidence
	Reveals  Reveals
	Views    request.Views
	// Writes admits reveals.
	Writes *admission.Writes
}
