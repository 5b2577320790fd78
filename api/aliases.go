package api

import "loyalty/api/auth"

// These names stay here while callers move to package auth.
type (
	Claims   = auth.Claims
	Role     = auth.Role
	Verifier = auth.Verifier
	JWKS     = auth.JWKS
)

const (
	RoleCustomer = auth.RoleCustomer
	RoleChannel  = auth.RoleChannel
	RoleSupport  = auth.RoleSupport
	RoleAnalyst  = auth.RoleAnalyst

	MinTokenSecret = auth.MinTokenSecret
)

var (
	NewSecretVerifier = auth.NewSecretVerifier
	NewJWKSVerifier   = auth.NewJWKSVerifier
	Mint              = auth.Mint
)
