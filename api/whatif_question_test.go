package api_test

import (
	"strings"
	"testing"
)

// invalidWhatIfs is what nobody is told, after ann has placed order o-1.
func invalidWhatIfs() []exchange {
	of := func(policy string) string { return `{"policy": ` + policy + `}` }
	with := func(more string) string { return `{"policy": ` + double + `, ` + more + `}` }
	spend := func(more string) string { return of(`{"id": "p", "spendPerPoint": {"GBP": 500}, ` + more + `}`) }
	times := func(members string) string { return spend(`"multipliers": [{"factor": "2"}, {` + members + `}]`) }
	exponent := bad(whatIf, "a spend with an exponent", of(`{"id": "p", "spendPerPoint": {"GBP": 5e2}}`), "policy_invalid", "policy.spendPerPoint.GBP")
	noSuchDay := bad(whatIf, "a day that is none", with(`"until": "2026-02-31"`), "until_malformed", "until")
	backwards := bad(whatIf, "a multiplier that ends before it begins", times(`"factor": "2", "from": "2026-10-02", "until": "2026-10-01"`), "policy_invalid", "policy.multipliers[1].until")
	vast := bad(whatIf, "a factor beyond all", times(`"factor": "1001"`), "policy_invalid", "policy.multipliers[1].factor")
	twice := bad(whatIf, "a currency twice", of(`{"id": "p", "spendPerPoint": {"GBP": 500, "GBP": 600}}`), "policy_malformed", "policy")
	// A schema has no words for these.
	exponent.wordy, noSuchDay.wordy, backwards.wordy, vast.wordy, twice.wordy = true, true, true, true, true
	return []exchange{
		bad(whatIf, "no policy", `{}`, "policy_missing", "policy"),
		bad(whatIf, "null for a policy", of(`null`), "policy_missing", "policy"),
		bad(whatIf, "a text for a policy", of(`"double"`), "policy_malformed", "policy"),
		bad(whatIf, "a list for a policy", of(`[]`), "policy_malformed", "policy"),
		bad(whatIf, "a policy without a name", of(`{"spendPerPoint": {"GBP": 500}}`), "policy_invalid", "policy.id"),
		bad(whatIf, "a policy with nothing in it", of(`{}`), "invalid_input", ""),
		bad(whatIf, "no spend", of(`{"id": "p"}`), "policy_invalid", "policy.spendPerPoint"),
		bad(whatIf, "a spend for no currency", of(`{"id": "p", "spendPerPoint": {}}`), "policy_invalid", "policy.spendPerPoint"),
		bad(whatIf, "another currency", of(`{"id": "p", "spendPerPoint": {"USD": 500}}`), "policy_invalid", "policy.spendPerPoint.USD"),
		bad(whatIf, "a spend of nothing", of(`{"id": "p", "spendPerPoint": {"GBP": 0}}`), "policy_invalid", "policy.spendPerPoint.GBP"),
		bad(whatIf, "a spend with decimals", of(`{"id": "p", "spendPerPoint": {"GBP": 500.5}}`), "policy_invalid", "policy.spendPerPoint.GBP"),
		bad(whatIf, "a list of spends", of(`{"id": "p", "spendPerPoint": [500]}`), "policy_malformed", "policy"),
		bad(whatIf, "another rounding", spend(`"rounding": "odd"`), "policy_invalid", "policy.rounding"),
		bad(whatIf, "a minimum below nothing", spend(`"minimum": {"GBP": -1}`), "policy_invalid", "policy.minimum.GBP"),
		bad(whatIf, "a point worth too much", spend(`"pointValue": 100001`), "policy_invalid", "policy.pointValue"),
		bad(whatIf, "a field of no policy", spend(`"more": 1`), "policy_malformed", "policy"),
		bad(whatIf, "another channel", times(`"factor": "2", "channel": "fax"`), "policy_invalid", "policy.multipliers[1].channel"),
		bad(whatIf, "no factor", times(`"channel": "mobile"`), "policy_invalid", "policy.multipliers[1].factor"),
		bad(whatIf, "a factor too fine", times(`"factor": "0.1234567"`), "policy_invalid", "policy.multipliers[1].factor"),
		bad(whatIf, "256 multipliers", spend(`"multipliers": [{"factor": "1"}`+strings.Repeat(`,{"factor":"2"}`, 255)+`]`), "policy_invalid", "policy.multipliers"),
		exponent, noSuchDay, backwards, vast, twice,
		bad(whatIf, "by something else", with(`"by": "customer"`), "by_unknown", "by"),
		bad(whatIf, "by a number", with(`"by": 1`), "by_unknown", "by"),
		bad(whatIf, "none of the best", with(`"top": 0`), "top_out_of_range", "top"),
		bad(whatIf, "too many of them", with(`"top": 101`), "top_out_of_range", "top"),
		bad(whatIf, "a text for how many", with(`"top": "10"`), "top_out_of_range", "top"),
		bad(whatIf, "until yesterday", with(`"until": "yesterday"`), "until_malformed", "until"),
		bad(whatIf, "until a number", with(`"until": 1`), "until_malformed", "until"),
		bad(whatIf, "until before all", with(`"until": "2001-01-01"`), "until_before_first", "until"),
		bad(whatIf, "until after all", with(`"until": "9000000000000"`), "until_after_last", "until"),
		bad(whatIf, "another field", with(`"around": 2`), "field_unknown", "around"),
		bad(whatIf, "a field twice", with(`"top": 1, "top": 2`), "field_repeated", "top"),
		bad(whatIf, "faults in several fields", `{"by": "week", "top": 0, "until": "x"}`, "invalid_input", ""),
	}
}

func TestAFaultOfALongPolicyNamesItsLine(t *testing.T) {
	s := serve(t, loadDocument(t), fixed{}.all)
	x := bad(whatIf, "", "{\"policy\": {\n\"id\": \"p\",\n\"more\": 1}}", "policy_malformed", "policy")
	if got := s.do(t, x).problem.Detail; got != `line 3 of it: unknown field "more"` {
		t.Errorf("the detail is %q", got)
	}
}
