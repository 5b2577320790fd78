package postgrestest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// hold makes this program, started again by its test, one that has a server and waits to be killed.
const hold = "POSTGRESTEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(hold) != "" {
		p, err := start(nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.address())
		select {}
	}
	os.Exit(Main(m))
}

func connects(t *testing.T, address string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return false
	}
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}
	return true
}

func TestEveryDatabaseIsNewAndGoesWithItsTest(t *testing.T) {
	var first, second string
	t.Run("inner", func(t *testing.T) {
		s := Shared(t)
		first, second = s.URL(), s.URL()
		if first == second || !connects(t, first) || !connects(t, second) {
			t.Errorf("%s and %s", first, second)
		}
	})
	if connects(t, first) || connects(t, second) {
		t.Error("they are still there")
	}
}

func TestAServerKeepsWhatItHoldsOverARestart(t *testing.T) {
	s := Start(t)
	address := s.URL()
	s.Stop()
	if connects(t, address) {
		t.Error("it answers after it was stopped")
	}
	s.Start()
	if !connects(t, address) {
		t.Error("it does not answer, or has lost its database")
	}
}
