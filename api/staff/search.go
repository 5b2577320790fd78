package staff

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/queries"
	"loyalty/queries/view"
)

// maxSearch is the most characters of what is searched for: a full id has no more, a proxy name fewer.
const maxSearch = domain.MaxFullIDLength

type searchAnswer struct {
	view.SearchResult
	Position domain.Position `json:"position"`
	AsOf     *time.Time      `json:"asOf"`
}

// Search finds a customer, an order, a return or an adjustment by its id, and customers by their proxy name.
func (h *Handler) Search(ctx context.Context, c echo.Context, caller auth.Claims) error {
	values, badQuery := request.Query(c)
	wanted, badWanted := searchedFor(values.Get("q"))
	if badQuery != nil {
		badWanted = nil
	}
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badQuery, badWanted, badPosition); err != nil {
		return err
	}
	var found queries.Found
	err := request.Reflecting(ctx, h.Ledger, position, func() (_ domain.Position, err error) {
		found, err = queries.Search(ctx, h.Finder, h.Proxies, wanted)
		return found.Position, err
	})
	if err != nil {
		return err
	}
	var customers []domain.CustomerID
	for _, match := range found.Matches {
		customers = append(customers, match.Customer)
	}
	for _, customer := range slices.Compact(slices.Sorted(slices.Values(customers))) {
		if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
			return err
		}
	}
	answer := searchAnswer{view.SearchResultOf(found), found.Position, view.OptionalTime(found.AsOf)}
	if answer.ProxyName != nil {
		answer.ProxyName.Reveal = "/reveals" // a search appends nothing, and so reveals nothing
	}
	return c.JSON(http.StatusOK, answer)
}

// searchedFor is the text to search for, without the space around it.
func searchedFor(text string) (string, error) {
	switch wanted := strings.TrimSpace(text); {
	case wanted == "":
		return "", domain.Invalid("q", "q_missing", "say what to search for: an id of a customer, order, return or adjustment, or a proxy name")
	case utf8.RuneCountInString(text) > maxSearch:
		return "", domain.Invalid("q", "q_too_long", fmt.Sprintf("what is searched for has at most %d characters", maxSearch))
	default:
		return wanted, nil
	}
}
