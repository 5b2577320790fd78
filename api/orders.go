package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/order"
)

type placedAnswer struct {
	OrderID  domain.OrderID  `json:"orderId"`
	Status   string          `json:"status"`
	Points   domain.Points   `json:"points"`
	Position domain.Position `json:"position"`
}

type returnedAnswer struct {
	ReturnID       domain.ReturnID `json:"returnId"`
	PointsReversed domain.Points   `json:"pointsReversed"`
	Position       domain.Position `json:"position"`
}

func (s *Server) placeOrder(ctx context.Context, c echo.Context, caller Claims) error {
	id, badID := pathID[domain.OrderID](c, "orderId")
	body, err := readBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeOrder(body, caller)
	if err := domain.JoinInvalid(badID, badBody); err != nil {
		return err
	}
	command.Order, command.Caller = id, behalf(c, caller)
	placed, err := s.config.Commands.PlaceOrder(ctx, command)
	if err != nil {
		return err
	}
	return written(c, placed.Replayed, placedAnswer{
		OrderID: placed.Order, Status: "placed", Points: placed.Points, Position: placed.Position,
	})
}

func (s *Server) returnItems(ctx context.Context, c echo.Context, caller Claims) error {
	orderID, badOrder := pathID[domain.OrderID](c, "orderId")
	returnID, badReturn := pathID[domain.ReturnID](c, "returnId")
	body, err := readBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeReturn(body)
	if err := domain.JoinInvalid(badOrder, badReturn, badBody); err != nil {
		return err
	}
	command.Order, command.Return, command.Caller = orderID, returnID, behalf(c, caller)
	returned, err := s.config.Commands.ReturnItems(ctx, command)
	if err != nil {
		return err
	}
	return written(c, returned.Replayed, returnedAnswer{
		ReturnID: returned.Return, PointsReversed: returned.Points, Position: returned.Position,
	})
}

// decodeOrder reads the body of an order, and whose it is: a customer's own, or the customer's that a channel names. A
// customer who names another gets domain.ErrForbidden. Of paymentDetails only what is read here is kept.
func decodeOrder(data []byte, caller Claims) (commands.PlaceOrder, error) {
	body, badBody := parseObject(data, "ItemIds", "paymentDetails", "customerId")
	payment, badPayment := paymentOf(body)
	minor, badAmount := payment.amount("amount")
	currency, badCurrency := currencyOf(payment)
	method, badMethod := payment.text("method", "method_malformed")
	items, badItems := itemsOf(body)
	customer, badCustomer := customerOf(body, caller)
	if badPayment != nil {
		badAmount, badCurrency = nil, nil
	}
	err := domain.JoinInvalid(badBody, badCustomer, badItems, badPayment, badAmount, badCurrency, badMethod)
	if err != nil {
		place := order.Place{Items: items, Method: method, Paid: domain.Money{Currency: domain.GBP}, Policy: domain.DefaultPolicy()}
		if badItems != nil {
			place.Items = []string{"unread"}
		}
		_, decided := order.Decide(place, order.State{})
		return commands.PlaceOrder{}, alsoInvalid(err, decided)
	}
	return commands.PlaceOrder{
		Customer: customer, Items: items, Paid: domain.Money{Minor: minor, Currency: currency}, Method: method,
	}, nil
}

func paymentOf(body object) (object, error) {
	const name = "paymentDetails"
	raw, present := body.raw(name)
	switch {
	case !present:
		return object{}, domain.Invalid(name, "payment_missing", "say what was paid: an object with amount and currency")
	case raw[0] != '{':
		return object{}, domain.Invalid(name, "payment_malformed", "this must be an object with amount and currency")
	}
	return parseOpenObject(raw, name+".", "amount", "currency", "method")
}

func currencyOf(payment object) (domain.Currency, error) {
	text, err := payment.text("currency", "currency_malformed")
	if err != nil {
		return "", err
	}
	return domain.ParseCurrency(payment.path+"currency", text)
}

// itemsOf reads the items as strings; what strings they may be is the domain's to say.
func itemsOf(body object) ([]string, error) {
	const name = "ItemIds"
	raw, present := body.raw(name)
	if !present {
		return nil, nil
	}
	var values []json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return nil, domain.Invalid(name, "items_malformed", "this must be an array of item ids")
	}
	items := make([]string, len(values))
	for i, value := range values {
		item, ok := unquote(value)
		if !ok {
			return nil, domain.Invalid(fmt.Sprintf("%s[%d]", name, i), "id_malformed", "an item id is a JSON string")
		}
		items[i] = item
	}
	return items, nil
}

func customerOf(body object, caller Claims) (domain.CustomerID, error) {
	const name = "customerId"
	own := domain.CustomerID(caller.Subject)
	if _, present := body.raw(name); !present {
		if caller.Role == RoleCustomer {
			return own, nil
		}
		return "", domain.Invalid(name, "customer_id_missing", "a channel says which customer bought")
	}
	text, err := body.text(name, "id_malformed")
	if err != nil {
		return "", err
	}
	named, err := domain.ParseID[domain.CustomerID](name, text)
	if err == nil && caller.Role == RoleCustomer && named != own {
		return "", domain.ErrForbidden
	}
	return named, err
}

func decodeReturn(data []byte) (commands.ReturnItems, error) {
	body, badBody := parseObject(data, "amount", "reason")
	amount, badAmount := body.amount("amount")
	reason, badReason := body.text("reason", "reason_malformed")
	if err := domain.JoinInvalid(badBody, badAmount, badReason); err != nil {
		if badAmount != nil {
			amount = 1
		}
		_, decided := order.Decide(order.Return{Amount: amount, Reason: reason}, order.State{})
		return commands.ReturnItems{}, alsoInvalid(err, decided)
	}
	return commands.ReturnItems{Amount: amount, Reason: reason}, nil
}

// behalf is on whose behalf the caller's command is carried out.
func behalf(c echo.Context, caller Claims) commands.Caller {
	return commands.Caller{Actor: caller.Subject, Channel: caller.Channel, Correlation: c.Response().Header().Get(headerRequestID)}
}

// written answers a write: 201, or 200 with a header that says so where this is what was answered the first time.
func written(c echo.Context, replayed bool, answer any) error {
	if replayed {
		c.Response().Header().Set("Idempotent-Replayed", "true")
		return c.JSON(http.StatusOK, answer)
	}
	return c.JSON(http.StatusCreated, answer)
}
