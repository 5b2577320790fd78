package bus

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/strictjson"
)

// The names of the commands on the wire. They never change: members may be added to a command, another shape is a new name.
const (
	NamePlaceOrder   = "place-order.v1"
	NameReturnItems  = "return-items.v1"
	NameAdjustPoints = "adjust-points.v1"
)

// Marshaler reads and writes commands.PlaceOrder, ReturnItems and AdjustPoints as CQRS commands of Watermill: JSON with the
// member names of the HTTP API. It reads strictly, by package strictjson. It may be used by many goroutines at once.
type Marshaler struct{}

var _ cqrs.CommandEventMarshaler = Marshaler{}

// The payloads, as they are written.
type (
	callerWire struct {
		Channel domain.Channel `json:"channel,omitempty"`
		Actor   string         `json:"actor"`
	}
	paymentWire struct {
		Amount   string          `json:"amount"`
		Currency domain.Currency `json:"currency"`
		Method   string          `json:"method,omitempty"`
	}
	placeOrderWire struct {
		OrderID    domain.OrderID    `json:"orderId"`
		CustomerID domain.CustomerID `json:"customerId"`
		Items      []string          `json:"ItemIds"`
		Payment    paymentWire       `json:"paymentDetails"`
		callerWire
	}
	returnItemsWire struct {
		OrderID  domain.OrderID  `json:"orderId"`
		ReturnID domain.ReturnID `json:"returnId"`
		Amount   string          `json:"amount"`
		Reason   string          `json:"reason,omitempty"`
		callerWire
	}
	adjustPointsWire struct {
		CustomerID domain.CustomerID `json:"customerId"`
		LoyaltyID  domain.LoyaltyID  `json:"loyaltyId"`
		Points     domain.Points     `json:"loyalty-points"`
		Reason     string            `json:"reason"`
		callerWire
	}
)

// Name is the name of a command, empty for anything else.
func (Marshaler) Name(command any) string {
	switch command.(type) {
	case commands.PlaceOrder, *commands.PlaceOrder:
		return NamePlaceOrder
	case commands.ReturnItems, *commands.ReturnItems:
		return NameReturnItems
	case commands.AdjustPoints, *commands.AdjustPoints:
		return NameAdjustPoints
	}
	return ""
}

// NameFromMessage is the name in the metadata of a message.
func (Marshaler) NameFromMessage(m *message.Message) string { return m.Metadata.Get(MetadataName) }

// Marshal writes a command, a value or a pointer, as a message with a new id.
func (n Marshaler) Marshal(command any) (*message.Message, error) {
	var wire any
	var caller commands.Caller
	switch c := command.(type) {
	case *commands.PlaceOrder:
		return n.Marshal(*c)
	case *commands.ReturnItems:
		return n.Marshal(*c)
	case *commands.AdjustPoints:
		return n.Marshal(*c)
	case commands.PlaceOrder:
		caller = c.Caller
		wire = placeOrderWire{
			c.Order, c.Customer, c.Items, paymentWire{domain.FormatMinor(c.Paid.Minor), c.Paid.Currency, c.Method}, wireOf(caller),
		}
	case commands.ReturnItems:
		caller = c.Caller
		wire = returnItemsWire{c.Order, c.Return, domain.FormatMinor(c.Amount), c.Reason, wireOf(caller)}
	case commands.AdjustPoints:
		caller = c.Caller
		wire = adjustPointsWire{c.Customer, c.ID, c.Points, c.Reason, wireOf(caller)}
	default:
		return nil, fmt.Errorf("a %T is no command of this bus", command)
	}
	payload, err := json.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", n.Name(command), err)
	}
	return newMessage(n.Name(command), caller.Correlation, payload), nil
}

func wireOf(c commands.Caller) callerWire { return callerWire{Channel: c.Channel, Actor: c.Actor} }

// Unmarshal reads a message into a *commands.PlaceOrder, *commands.ReturnItems or *commands.AdjustPoints. The error is
// domain.ErrInvalid with every field at fault.
func (Marshaler) Unmarshal(m *message.Message, into any) error {
	var err error
	correlation := correlationOf(m)
	switch c := into.(type) {
	case *commands.PlaceOrder:
		*c, err = decodePlaceOrder(m.Payload)
		c.Correlation = correlation
	case *commands.ReturnItems:
		*c, err = decodeReturnItems(m.Payload)
		c.Correlation = correlation
	case *commands.AdjustPoints:
		*c, err = decodeAdjustPoints(m.Payload)
		c.Correlation = correlation
	default:
		return fmt.Errorf("a %T is no command of this bus", into)
	}
	return err
}

// The members of the payloads.
var (
	placeOrderFields   = []string{"orderId", "customerId", "ItemIds", "paymentDetails", "channel", "actor"}
	returnItemsFields  = []string{"orderId", "returnId", "amount", "reason", "channel", "actor"}
	adjustPointsFields = []string{"customerId", "loyaltyId", "loyalty-points", "reason", "channel", "actor"}
)

func decodePlaceOrder(payload []byte) (commands.PlaceOrder, error) {
	o := strictjson.Parse(payload, placeOrderFields)
	c := commands.PlaceOrder{
		Caller: callerOf(&o, true), Order: strictjson.ID[domain.OrderID](&o, "orderId"),
		Customer: strictjson.ID[domain.CustomerID](&o, "customerId"),
	}
	c.Items, _ = o.Items()
	c.Paid, c.Method = o.Payment()
	return c, payloadError(o.Err())
}

func decodeReturnItems(payload []byte) (commands.ReturnItems, error) {
	o := strictjson.Parse(payload, returnItemsFields)
	c := commands.ReturnItems{
		Caller: callerOf(&o, true), Order: strictjson.FullID[domain.OrderID](&o, "orderId"),
		Return: strictjson.ID[domain.ReturnID](&o, "returnId"),
	}
	c.Amount, _ = o.Amount("amount")
	c.Reason, _ = o.String("reason", "reason_malformed")
	return c, payloadError(o.Err())
}

// decodeAdjustPoints demands an id: a broker delivers more than once, and without an id each delivery would count.
func decodeAdjustPoints(payload []byte) (commands.AdjustPoints, error) {
	o := strictjson.Parse(payload, adjustPointsFields)
	c := commands.AdjustPoints{
		Caller: callerOf(&o, false), Customer: strictjson.ID[domain.CustomerID](&o, "customerId"),
		ID: strictjson.ID[domain.LoyaltyID](&o, "loyaltyId"),
	}
	c.Points, _ = o.Points("loyalty-points")
	c.Reason, _ = o.String("reason", "reason_malformed")
	return c, payloadError(o.Err())
}

// callerOf reads who acts (a till, a website, a member of staff) and the channel, whose the ids in the command are then; without one they are support's.
func callerOf(o *strictjson.Object, needsChannel bool) commands.Caller {
	c := commands.Caller{Actor: strictjson.ID[string](o, "actor"), Issuer: domain.Staff}
	if _, present := o.Raw("channel"); !present && !needsChannel {
		return c
	}
	if text, ok := o.String("channel", "channel_unknown"); ok {
		var err error
		c.Channel, err = domain.ParseChannel("channel", text)
		c.Issuer = c.Channel.Issuer()
		o.Add(err)
	}
	return c
}

// payloadError makes every error of reading a payload domain.ErrInvalid. An unknown member is named only if its name looks like
// one of an API: a sender may have put anything there, and results are kept.
func payloadError(err error) error {
	switch {
	case errors.Is(err, strictjson.ErrMalformed):
		return domain.Invalid("payload", "json_malformed", "the payload must be one whole JSON object and nothing else")
	case errors.Is(err, strictjson.ErrTooLarge):
		return domain.Invalid("payload", "payload_too_large", fmt.Sprintf("a payload has at most %d bytes", strictjson.MaxBytes))
	}
	var invalid *domain.InvalidError
	if errors.As(err, &invalid) {
		for i, f := range invalid.Fields {
			if _, err := domain.ParseID[string]("name", f.Field); f.Code == "field_unknown" && err != nil {
				invalid.Fields[i].Field = "?"
			}
		}
	}
	return err
}

// maxIDLength bounds ids of messages and correlations, in bytes.
const maxIDLength = 128

// correlationOf is the sender's correlation id, or the message's own id if it has none that can be stored.
func correlationOf(m *message.Message) string {
	text := m.Metadata.Get(MetadataCorrelation)
	if text == "" || domain.CheckText(MetadataCorrelation, "correlation", text, maxIDLength) != nil {
		return m.UUID
	}
	return text
}
