package api

import (
	"encoding/csv"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const mimeCSV = "text/csv"

// wantsCSV tells whether the caller asks for a file instead of JSON.
func wantsCSV(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), mimeCSV)
}

var trailColumns = []string{
	"entryId", "occurredAt", "kind", "channel", "orderId", "returnId", "loyaltyId", "amount", "currency", "points", "total",
	"reason", "actor", "correlationId", "position", "stream", "revision",
}

// sendCSV writes a whole trail, a page of it at a time. What goes wrong after the first page breaks the connection, so that a file
// that is not whole is not taken for one that is.
func sendCSV(c echo.Context, pages iter.Seq2[ledger.Trail, error], role Role) error {
	response := c.Response()
	out := csv.NewWriter(response)
	begun := false
	for page, err := range pages {
		switch {
		case err != nil && !begun:
			return err
		case err != nil:
			panic(http.ErrAbortHandler)
		case !begun:
			begun = true
			response.Header()["Content-Type"] = []string{mimeCSV + "; charset=utf-8"}
			response.WriteHeader(http.StatusOK)
			_ = out.Write(trailColumns) // out.Error has it
		}
		for _, e := range page.Entries {
			_ = out.Write(csvRow(e, role))
		}
		if out.Flush(); out.Error() != nil {
			return nil // the client is gone
		}
	}
	return nil
}

func csvRow(e ledger.Entry, role Role) []string {
	var amount string
	if e.Amount.Currency != "" {
		amount = domain.FormatMinor(e.Amount.Minor)
	}
	if role == RoleCustomer {
		e.Actor, e.Correlation = "", ""
	}
	points := func(p domain.Points) string { return strconv.FormatInt(int64(p), 10) }
	return []string{
		e.EventID, e.OccurredAt.UTC().Format(time.RFC3339Nano), string(e.Kind), string(e.Channel),
		noFormula(string(e.Order)), noFormula(string(e.Return)), noFormula(string(e.Loyalty)), amount, string(e.Amount.Currency),
		points(e.Points), points(e.Total), noFormula(e.Reason), noFormula(e.Actor), noFormula(e.Correlation),
		e.Position.String(), noFormula(e.Stream), strconv.FormatUint(e.Revision, 10),
	}
}

// noFormula keeps a spreadsheet from taking somebody's text for a formula (OWASP, CSV injection): such text begins with an
// apostrophe, which shows it as it is.
func noFormula(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
