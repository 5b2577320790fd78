package accounts

import (
	"context"
	"encoding/csv"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/api/slowclient"
	"loyalty/domain"
	"loyalty/internal/problem"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

const mimeCSV = "text/csv"

// wantsCSV tells whether the caller asks for a file instead of JSON.
func wantsCSV(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), mimeCSV)
}

// boundedPages bounds the time for each page. A whole trail takes as long as its reader does.
type boundedPages struct{ ledger.Reader }

func (r boundedPages) Trail(ctx context.Context, customer domain.CustomerID, filter ledger.Filter, cursor string, limit int) (ledger.Trail, error) {
	ctx, cancel := context.WithTimeout(ctx, request.Timeout)
	defer cancel()
	return r.Reader.Trail(ctx, customer, filter, cursor, limit)
}

// sendCSV writes a whole trail, a page of it at a time; the first was read. What goes wrong after it breaks the connection, so that a file
// that is not whole is not taken for one that is.
func sendCSV(c echo.Context, pages iter.Seq2[ledger.Trail, error], role auth.Role) error {
	response := c.Response()
	out := csv.NewWriter(slowclient.NewWriter(response, http.NewResponseController(response)))
	response.Header()["Content-Type"] = []string{mimeCSV + "; charset=utf-8"}
	response.WriteHeader(http.StatusOK)
	_ = out.Write(view.TrailColumns()) // out.Error has it
	for page, err := range pages {
		if err != nil {
			return fmt.Errorf("%w: %w", request.ErrIncomplete, err)
		}
		for _, e := range page.Entries {
			_ = out.Write(view.TrailRow(seenBy(role, e)))
		}
		if out.Flush(); out.Error() != nil {
			return fmt.Errorf("%w: %w", problem.ErrClientGone, out.Error())
		}
	}
	return nil
}
