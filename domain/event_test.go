package domain_test

import (
	"testing"
	"time"

	"loyalty/domain"
)

func TestAbout_says_whom_an_event_concerns_and_when_it_happened(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	about := domain.About{CustomerID: "c-1", OccurredAt: at}
	if about.Customer() != "c-1" || !about.Occurred().Equal(at) {
		t.Errorf("%s at %s", about.Customer(), about.Occurred())
	}
}
