package api_test

import (
	"os"
	"testing"

	"loyalty/api/browsertest"
)

// TestMain has a browser for the tests that look at pages.
func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
