// Package auth says who asks: it verifies bearer tokens and sessions, and mints tokens where the secret is this system's own. What a
// caller may do is not decided here but by the routes of package api.
package auth
