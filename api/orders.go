package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/order"
)

type returnedAnswer struct {
	ReturnID       domain.ReturnID `json:"returnId"`
	PointsReversed domain.Points   `json:"pointsReversed"`
	// Position is zero in a preview.
	Position domain.Position `json:"position"`
	Preview  bool            `json:"preview,omitempty"`
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
	placed, err := s.gated.PlaceOrder(ctx, command)
	if err != nil {
		return err
	}
	answer := make([]byte, 0, 192)
	answer = append(answer, `{"orderId":"`...)
	answer = append(answer, placed.Order...)
	answer = append(answer, `","status":"placed",`...)
	answer = appendPlaced(answer, placed)
	return sendWritten(c, placed.Replayed, append(answer, "}\n"...))
}

func (s *Server) returnItems(ctx context.Context, c echo.Context, caller Claims) error {
	orderID, badOrder := pathID[domain.OrderID](c, "orderId")
	returnID, badReturn := pathID[domain.ReturnID](c, "returnId")
	preview, badPreview := isPreview(c)
	body, err := readBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeReturn(body)
	if err := domain.JoinInvalid(badOrder, badReturn, badPreview, badBody); err != nil {
		return err
	}
	command.Order, command.Return, command.Caller, command.Preview = orderID, returnID, behalf(c, caller), preview
	returned, err := s.gated.ReturnItems(ctx, command)
	if err != nil {
		return err
	}
	answer := returnedAnswer{ReturnID: returned.Return, PointsReversed: returned.Points, Position: returned.Position}
	if preview && !returned.Replayed {
		answer.Preview = true
		return previewed(c, answer)
	}
	return written(c, returned.Replayed, answer)
}

// The members of the body of an order, and of a line of a batch, which names the order too.
var (
	orderFields   = []string{"ItemIds", "paymentDetails", "customerId"}
	lineFields    = []string{"orderId", "ItemIds", "paymentDetails", "customerId"}
	paymentFields = []string{"paymentDetails.amount", "paymentDetails.currency", "paymentDetails.method"}
)

// decodeOrder reads the body of an order, and whose it is: a customer's own, or the customer's that a channel names. A
// customer who names another gets domain.ErrForbidden. Of paymentDetails only what is read here is kept.
func decodeOrder(data []byte, caller Claims) (commands.PlaceOrder, error) {
	body, badBody := parseObject(data, orderFields)
	return orderOf(&body, badBody, caller)
}

// decodeLine does as decodeOrder with a line of a batch. The order has its id also after an error, if that could be read.
func decodeLine(line []byte, caller Claims) (commands.PlaceOrder, error) {
	body, badBody := parseObject(line, lineFields)
	if errors.Is(badBody, errJSONMalformed) {
		return commands.PlaceOrder{}, badBody
	}
	text, badID := body.text("orderId", "id_malformed")
	var id domain.OrderID
	if badID == nil {
		id, badID = domain.ParseID[domain.OrderID]("orderId", text)
	}
	command, err := orderOf(&body, badBody, caller)
	command.Order = id
	if badID != nil {
		err = domain.JoinInvalid(badID, err)
	}
	return command, err
}

// orderOf reads an order from the members of a body, in which badBody was found to be wrong.
func orderOf(body *object, badBody error, caller Claims) (commands.PlaceOrder, error) {
	payment, badPayment := paymentOf(body)
	minor, badAmount := payment.amount("paymentDetails.amount")
	currency, badCurrency := currencyOf(&payment)
	method, badMethod := payment.text("paymentDetails.method", "method_malformed")
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

func paymentOf(body *object) (object, error) {
	const name = "paymentDetails"
	raw, present := body.raw(name)
	switch {
	case !present:
		return object{}, domain.Invalid(name, "payment_missing", "say what was paid: an object with amount and currency")
	case raw[0] != '{':
		return object{}, domain.Invalid(name, "payment_malformed", "this must be an object with amount and currency")
	}
	return parseMember(raw, name+".", paymentFields)
}

func currencyOf(payment *object) (domain.Currency, error) {
	const name = "paymentDetails.currency"
	text, err := payment.text(name, "currency_malformed")
	if err != nil {
		return "", err
	}
	return domain.ParseCurrency(name, text)
}

// itemsOf reads the items as strings; what strings they may be is the domain's to say.
func itemsOf(body *object) ([]string, error) {
	const name = "ItemIds"
	raw, present := body.raw(name)
	if !present {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, domain.Invalid(name, "items_malformed", "this must be an array of item ids")
	}
	items := make([]string, 0, min(1+bytes.Count(raw, []byte{','}), order.MaxItems))
	for value := range elements(raw) {
		item, ok := unquote(value)
		if !ok {
			return nil, domain.Invalid(fmt.Sprintf("%s[%d]", name, len(items)), "id_malformed", "an item id is a JSON string")
		}
		items = append(items, item)
	}
	return items, nil
}

func customerOf(body *object, caller Claims) (domain.CustomerID, error) {
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

var returnFields = []string{"amount", "reason"}

func decodeReturn(data []byte) (commands.ReturnItems, error) {
	body, badBody := parseObject(data, returnFields)
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

// appendPlaced appends what an order's answer says of what it earned, as members of a JSON object.
func appendPlaced(b []byte, placed commands.Placed) []byte {
	b = append(b, `"points":`...)
	b = strconv.AppendInt(b, int64(placed.Points), 10)
	b = append(b, `,"position":"`...)
	b = append(b, placed.Position.String()...)
	return append(b, '"')
}

// written answers a write: 201, or 200 with a header that says so where this is what was answered the first time.
func written(c echo.Context, replayed bool, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return sendWritten(c, replayed, append(body, '\n'))
}

// sendWritten is written with an answer that is JSON already.
func sendWritten(c echo.Context, replayed bool, answer []byte) error {
	header, status := c.Response().Header(), http.StatusCreated
	header["Content-Type"] = jsonType
	if replayed {
		header["Idempotent-Replayed"], status = yes, http.StatusOK
	}
	c.Response().WriteHeader(status)
	_, err := c.Response().Write(answer)
	return err
}

var yes, no = []string{"true"}, []string{"false"}
