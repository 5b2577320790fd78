package leaderboard

// ForgottenName is shown in place of the proxy name of a customer who was forgotten since: on a leaderboard of the past they keep their
// place, not their name.
const ForgottenName = "Forgotten"
