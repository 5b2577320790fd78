// Package apitest holds the client that is generated from docs/openapi.yaml, for tests that drive the API through nothing
// else: what the document does not say, they can't ask for. It is not a product; docs/adr/0017 says why.
package apitest
