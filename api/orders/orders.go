// Package orders answers channels and customers who buy and return.
package orders

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/internal/strictjson"
)

// Commands places orders and takes back what was bought, from many goroutines at once. A commands.Handler does.
type Commands interface {
	PlaceOrder(context.Context, commands.PlaceOrder) (commands.Placed, error)
	ReturnItems(context.Context, commands.ReturnItems) (commands.Returned, error)
}

// Handler answers requests about orders. It may be used from many goroutines at once.
type Handler struct {
	Commands Commands
	// Writes admits orders, returns and batches. Rates slow down the lines of batches; nil is for none.
	Writes *admission.Writes
	Rates  *admission.Rates
	// Lines counts the lines of batches by what became of them: placed, replayed, conflict or problem.
	Lines *prometheus.CounterVec
	Log   *slog.Logger
	Now   func() time.Time
	// Accepts tells whether a caller's token is still accepted, for batches, which take long.
	Accepts func(auth.Claims) bool
	// Stopping ends when the server stops. Batches then read no further.
	Stopping context.Context
}

type returnedAnswer struct {
	ReturnID       domain.ReturnID `json:"returnId"`
	PointsReversed domain.Points   `json:"pointsReversed"`
	// Position is zero in a preview.
	Position domain.Position `json:"position"`
	Preview  bool            `json:"preview,omitempty"`
}

// Place places an order.
func (h *Handler) Place(ctx context.Context, c echo.Context, caller auth.Claims) error {
	id, badID := request.PathID[domain.OrderID](c, "orderId")
	body, err := request.ReadBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeOrder(body, caller)
	if err := domain.JoinInvalid(badID, badBody); err != nil {
		return err
	}
	command.Order, command.Caller = id, request.CallerOf(c, caller)
	placed, err := admission.Write(ctx, h.Writes, caller, command, h.Commands.PlaceOrder)
	if err != nil {
		return err
	}
	answer := make([]byte, 0, 192)
	answer = append(answer, `{"orderId":"`...)
	answer = append(answer, placed.Order...)
	answer = append(answer, `","status":"placed",`...)
	answer = appendPlaced(answer, placed)
	return request.WrittenJSON(c, placed.Replayed, append(answer, "}\n"...))
}

// Return takes back a part of what was paid for an order.
func (h *Handler) Return(ctx context.Context, c echo.Context, caller auth.Claims) error {
	orderID, badOrder := request.PathFullID[domain.OrderID](c, "orderId")
	returnID, badReturn := request.PathID[domain.ReturnID](c, "returnId")
	preview, badPreview := request.Preview(c)
	body, err := request.ReadBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeReturn(body)
	if err := domain.JoinInvalid(badOrder, badReturn, badPreview, badBody); err != nil {
		return err
	}
	command.Order, command.Return, command.Caller, command.Preview = orderID, returnID, request.CallerOf(c, caller), preview
	returned, err := admission.Write(ctx, h.Writes, caller, command, h.Commands.ReturnItems)
	if err != nil {
		return err
	}
	answer := returnedAnswer{ReturnID: returned.Return, PointsReversed: returned.Points, Position: returned.Position}
	if preview && !returned.Replayed {
		answer.Preview = true
		return request.Previewed(c, answer)
	}
	return request.Written(c, returned.Replayed, answer)
}

// The members of the body of an order, of a line of a batch, which names the order too, and of the body of a return.
var (
	orderFields  = []string{"ItemIds", "paymentDetails", "customerId"}
	lineFields   = []string{"orderId", "ItemIds", "paymentDetails", "customerId"}
	returnFields = []string{"amount", "reason"}
)

// decodeOrder reads the body of an order, and whose it is: a customer's own, or the customer's that a channel names. A
// customer who names another gets domain.ErrForbidden.
func decodeOrder(data []byte, caller auth.Claims) (commands.PlaceOrder, error) {
	body := strictjson.Parse(data, orderFields)
	return orderOf(&body, caller)
}

// decodeLine does as decodeOrder with a line of a batch. The order has its id also after an error, if that could be read.
func decodeLine(line []byte, caller auth.Claims) (commands.PlaceOrder, error) {
	body := strictjson.Parse(line, lineFields)
	id := strictjson.ID[domain.OrderID](&body, "orderId")
	command, err := orderOf(&body, caller)
	command.Order = id
	return command, err
}

// orderOf reads an order from the members of a body. Where something is wrong with them, the domain is asked about the rest,
// so that a caller learns of every mistake at once; so it is with the other commands.
func orderOf(body *strictjson.Object, caller auth.Claims) (commands.PlaceOrder, error) {
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

func customerOf(body *strictjson.Object, caller auth.Claims) domain.CustomerID {
	const field = "customerId"
	own := domain.CustomerID(caller.Subject)
	if _, present := body.Raw(field); !present {
		if caller.Role != auth.RoleCustomer {
			body.Fail(field, "customer_id_missing", "a channel says which customer bought")
		}
		return own
	}
	named := strictjson.ID[domain.CustomerID](body, field)
	if caller.Role == auth.RoleCustomer && named != "" && named != own {
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

// appendPlaced appends what an order's answer says of what it earned, as members of a JSON object.
func appendPlaced(b []byte, placed commands.Placed) []byte {
	b = append(b, `"points":`...)
	b = strconv.AppendInt(b, int64(placed.Points), 10)
	b = append(b, `,"position":"`...)
	b = append(b, placed.Position.String()...)
	return append(b, '"')
}
