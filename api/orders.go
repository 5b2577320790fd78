package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/internal/strictjson"
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

// The members of the body of an order, of a line of a batch, which names the order too, and of the body of a return.
var (
	orderFields  = []string{"ItemIds", "paymentDetails", "customerId"}
	lineFields   = []string{"orderId", "ItemIds", "paymentDetails", "customerId"}
	returnFields = []string{"amount", "reason"}
)

// decodeOrder reads the body of an order, and whose it is: a customer's own, or the customer's that a channel names. A
// customer who names another gets domain.ErrForbidden.
func decodeOrder(data []byte, caller Claims) (commands.PlaceOrder, error) {
	body := strictjson.Parse(data, orderFields)
	return orderOf(&body, caller)
}

// decodeLine does as decodeOrder with a line of a batch. The order has its id also after an error, if that could be read.
func decodeLine(line []byte, caller Claims) (commands.PlaceOrder, error) {
	body := strictjson.Parse(line, lineFields)
	id := strictjson.ID[domain.OrderID](&body, "orderId")
	command, err := orderOf(&body, caller)
	command.Order = id
	return command, err
}

// orderOf reads an order from the members of a body. Where something is wrong with them, the domain is asked about the rest,
// so that a caller learns of every mistake at once; so it is with the other commands.
func orderOf(body *strictjson.Object, caller Claims) (commands.PlaceOrder, error) {
	customer := customerOf(body, caller)
	items, readable := body.Items()
	paid, method := body.Payment()
	if body.Err() == nil {
		return commands.PlaceOrder{Customer: customer, Items: items, Paid: paid, Method: method}, nil
	}
	place := order.Place{Items: items, Method: method, Paid: domain.Money{Currency: domain.GBP}, Policy: domain.DefaultPolicy()}
	if !readable {
		place.Items = []string{"unread"}
	}
	_, decided := order.Decide(place, order.State{})
	body.AddInvalid(decided)
	return commands.PlaceOrder{}, body.Err()
}

func customerOf(body *strictjson.Object, caller Claims) domain.CustomerID {
	const field = "customerId"
	own := domain.CustomerID(caller.Subject)
	if _, present := body.Raw(field); !present {
		if caller.Role != RoleCustomer {
			body.Fail(field, "customer_id_missing", "a channel says which customer bought")
		}
		return own
	}
	named := strictjson.ID[domain.CustomerID](body, field)
	if caller.Role == RoleCustomer && named != "" && named != own {
		body.Add(domain.ErrForbidden)
	}
	return named
}

func decodeReturn(data []byte) (commands.ReturnItems, error) {
	body := strictjson.Parse(data, returnFields)
	amount, readable := body.Amount("amount")
	reason, _ := body.String("reason", "reason_malformed")
	if body.Err() == nil {
		return commands.ReturnItems{Amount: amount, Reason: reason}, nil
	}
	if !readable {
		amount = 1
	}
	_, decided := order.Decide(order.Return{Amount: amount, Reason: reason}, order.State{})
	body.AddInvalid(decided)
	return commands.ReturnItems{}, body.Err()
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
