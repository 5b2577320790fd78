package app

import "testing"

// A database's address may be of words, too, and its password anywhere in them.
func TestTheKindOfAStoreHoldsNothingOfItsAddress(t *testing.T) {
	const password = "hush-7731"
	for address, kind := range map[string]string{
		"embedded:/srv/events": "embedded", "sqlite:ledger.sqlite": "sqlite", "memory:": "memory",
		"esdb://admin:" + password + "@a,b,c?tls=true": "esdb", "esdb+discover://a": "esdb", "kurrentdb://a": "esdb",
		"rediss://:" + password + "@cache": "redis", "redis+sentinel://a,b/master": "redis",
		"postgres://loyalty:" + password + "@db/loyalty": "postgres", "postgresql://db/loyalty": "postgres",
		"host=db password=" + password + " user=loyalty": "postgres", "host=db password=" + password + ":x": "postgres",
	} {
		if got := kindOf(address); got != kind {
			t.Errorf("%q is of kind %q", address, got)
		}
	}
}
