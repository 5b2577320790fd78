package account_test

import (
	"testing"

	"loyalty/domain"
	"loyalty/domain/account"
)

var (
	forget    = account.Forget{Customer: "c-1", Reason: "asked for it", Actor: "support-7", At: noon}
	forgotten = account.CustomerForgotten{About: about, Reason: "asked for it", Actor: "support-7"}
	clean     = account.Check{Model: "ledger", Position: domain.Position{Commit: 7, Prepare: 7}, Clean: true}
)

func certify(checks ...account.Check) account.Certify {
	return account.Certify{Customer: "c-1", Checks: checks, Actor: "support-7", At: noon}
}

func TestForget(t *testing.T) {
	given := func(events ...domain.Event) []domain.Event { return events }
	check(t,
		scenario{name: "a customer is forgotten", given: given(adjusted("a-1", 25)), when: forget, then: given(forgotten)},
		scenario{name: "also one of whom nothing is known", when: forget, then: given(forgotten)},
		scenario{name: "again changes nothing", given: given(forgotten), when: forget},
		scenario{name: "it takes a reason", when: account.Forget{Customer: "c-1"}, refused: domain.ErrInvalid, fields: []string{"reason reason_missing"}},
		scenario{name: "nothing is adjusted after it", given: given(forgotten), when: adjust("a-1", 5), refused: domain.ErrForgotten},
		scenario{name: "what was adjusted before is still answered", given: given(adjusted("a-1", 25), forgotten), when: adjust("a-1", 25)},
		scenario{name: "nothing is approved after it", given: given(requested("a-1", 101), forgotten), when: approve("a-1", "support-8"), refused: domain.ErrForgotten},
		scenario{name: "what waits can be declined", given: given(requested("a-1", 101), forgotten), when: decline("a-1", "support-8"), then: given(declined("a-1", "support-8"))},
	)
}

func TestCertify(t *testing.T) {
	given := func(events ...domain.Event) []domain.Event { return events }
	unclean := clean
	unclean.Clean = false
	check(t,
		scenario{name: "what was checked is recorded", given: given(forgotten), when: certify(clean), then: given(account.ErasureCertified{About: about, Checks: []account.Check{clean}, Actor: "support-7"})},
		scenario{name: "not while something is left", given: given(forgotten), when: certify(clean, unclean), refused: domain.ErrNotForgotten},
		scenario{name: "not without a check", given: given(forgotten), when: certify(), refused: domain.ErrInvalid, fields: []string{"checks checks_missing"}},
		scenario{name: "not of somebody who was not forgotten", when: certify(clean), refused: domain.ErrNotFound},
	)
}
