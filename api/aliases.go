package api

import (
	"loyalty/api/admin"
	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/web"
)

// These names stay here while callers move to packages auth, admission, admin and web.
type (
	Claims           = auth.Claims
	Role             = auth.Role
	Verifier         = auth.Verifier
	JWKS             = auth.JWKS
	Limits           = admission.Limits
	SignIn           = web.IdentityProvider
	Status           = admin.Status
	StoreStatus      = admin.StoreStatus
	ProjectionStatus = admin.ProjectionStatus
)

const (
	RoleCustomer = auth.RoleCustomer
	RoleChannel  = auth.RoleChannel
	RoleSupport  = auth.RoleSupport
	RoleAnalyst  = auth.RoleAnalyst

	MinTokenSecret = auth.MinTokenSecret

	DefaultWrites    = admission.DefaultWrites
	DefaultBatches   = admission.DefaultBatches
	DefaultHistory   = admission.DefaultHistory
	DefaultLivePages = admission.DefaultLivePages
)

var (
	NewSecretVerifier = auth.NewSecretVerifier
	NewJWKSVerifier   = auth.NewJWKSVerifier
	Mint              = auth.Mint
)
