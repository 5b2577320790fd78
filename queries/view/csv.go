package view

import (
	"strconv"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// TrailColumns are the columns of a trail in CSV: the fields of an Entry.
func TrailColumns() []string {
	return []string{
		"entryId", "occurredAt", "kind", "channel", "orderId", "returnId", "loyaltyId", "amount", "currency", "points", "total",
		"reason", "actor", "correlationId", "position", "stream", "revision",
	}
}

// TrailRow is an entry as a row under TrailColumns.
func TrailRow(e ledger.Entry) []string {
	var amount string
	if e.Amount.Currency != "" {
		amount = domain.FormatMinor(e.Amount.Minor)
	}
	points := func(p domain.Points) string { return strconv.FormatInt(int64(p), 10) }
	return []string{
		e.EventID, e.OccurredAt.UTC().Format(time.RFC3339Nano), string(e.Kind), string(e.Channel),
		cell(string(e.Order)), cell(string(e.Return)), cell(string(e.Loyalty)), amount, string(e.Amount.Currency),
		points(e.Points), points(e.Total), cell(e.Reason), cell(e.Actor), cell(e.Correlation),
		e.Position.String(), cell(e.Stream), strconv.FormatUint(e.Revision, 10),
	}
}

// cell keeps a spreadsheet from taking somebody's text for a formula (OWASP, CSV injection): such text begins with an apostrophe,
// which shows it as it is.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
