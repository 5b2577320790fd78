package view

import (
	"strconv"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// TrailColumns are those of a trail in CSV: the fields of an Entry.
func TrailColumns() []string {
	return []string{
		"entryId", "occurredAt", "kind", "channel", "orderId", "returnId", "loyaltyId", "amount", "currency", "points", "total",
		"reason", "actor", "correlationId", "position", "stream", "revision",
	}
}

// TrailRow is an entry in the cells of TrailColumns.
func TrailRow(e ledger.Entry) []string {
	var amount string
	if e.Amount.Currency != "" {
		amount = domain.FormatMinor(e.Amount.Minor)
	}
	points := func(p domain.Points) string { return strconv.FormatInt(int64(p), 10) }
	return []string{
		e.EventID, e.OccurredAt.UTC().Format(time.RFC3339Nano), string(e.Kind), string(e.Channel),
		Cell(string(e.Order)), Cell(string(e.Return)), Cell(string(e.Loyalty)), amount, string(e.Amount.Currency),
		points(e.Points), points(e.Total), Cell(e.Reason), Cell(e.Actor), Cell(e.Correlation),
		e.Position.String(), Cell(e.Stream), strconv.FormatUint(e.Revision, 10),
	}
}

// Cell keeps a spreadsheet from taking somebody's text for a formula (OWASP, CSV injection): such text begins with an apostrophe,
// which shows it as it is.
func Cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
