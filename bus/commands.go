package bus

import (
	"encoding/json"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/commands"
	"loyalty/domain"
)

// The names of the commands on the wire, for ever. What one means may only be added to; another shape is a new name.
const (
	NamePlaceOrder   = "place-order.v1"
	NameReturnItems  = "return-items.v1"
	NameAdjustPoints = "adjust-points.v1"
)

// Marshaler reads and writes commands.PlaceOrder, ReturnItems and AdjustPoints as Watermill's CQRS commands: JSON, with
// the field names of the HTTP API. It reads strictly.
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

// Name is the name of a command, empty for what is none.
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

// NameFromMessage is what a message says it is.
func (Marshaler) NameFromMessage(m *message.Message) string { return m.Metadata.Get(MetadataName) }

// Marshal writes a command as a message with an id of its own. It takes pointers and values.
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

// Unmarshal reads a message into a *commands.PlaceOrder, *commands.ReturnItems or *commands.AdjustPoints. What it can't
// read is domain.ErrInvalid that names the fields.
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

func decodePlaceOrder(payload []byte) (commands.PlaceOrder, error) {
	f := readFields(payload, "", false, "orderId", "customerId", "ItemIds", "paymentDetails", "channel", "actor")
	if f.unread() {
		return commands.PlaceOrder{}, f.err()
	}
	c := commands.PlaceOrder{
		Caller: callerOf(f, true), Order: id[domain.OrderID](f, "orderId"), Customer: id[domain.CustomerID](f, "customerId"),
		Items: f.texts("ItemIds"),
	}
	c.Paid, c.Method = paymentOf(f)
	return c, f.err()
}

func decodeReturnItems(payload []byte) (commands.ReturnItems, error) {
	f := readFields(payload, "", false, "orderId", "returnId", "amount", "reason", "channel", "actor")
	if f.unread() {
		return commands.ReturnItems{}, f.err()
	}
	c := commands.ReturnItems{
		Caller: callerOf(f, true), Order: id[domain.OrderID](f, "orderId"), Return: id[domain.ReturnID](f, "returnId"),
		Amount: f.amount("amount"),
	}
	c.Reason, _ = f.text("reason", "reason_malformed")
	return c, f.err()
}

// decodeAdjustPoints insists on an id: a broker delivers more than once, and without one each time would count.
func decodeAdjustPoints(payload []byte) (commands.AdjustPoints, error) {
	f := readFields(payload, "", false, "customerId", "loyaltyId", "loyalty-points", "reason", "channel", "actor")
	if f.unread() {
		return commands.AdjustPoints{}, f.err()
	}
	c := commands.AdjustPoints{
		Caller: callerOf(f, false), Customer: id[domain.CustomerID](f, "customerId"), ID: id[domain.LoyaltyID](f, "loyaltyId"),
		Points: f.points("loyalty-points"),
	}
	c.Reason, _ = f.text("reason", "reason_malformed")
	return c, f.err()
}

// paymentOf keeps of the payment the amount, the currency and the word for how; the rest is not looked at.
func paymentOf(f *fields) (domain.Money, string) {
	const name = "paymentDetails"
	raw, present := f.raw(name)
	switch {
	case !present:
		f.fail(name, "payment_missing", "say what was paid: an object with amount and currency")
		return domain.Money{}, ""
	case raw[0] != '{':
		f.fail(name, "payment_malformed", "this must be an object with amount and currency")
		return domain.Money{}, ""
	}
	payment := readFields(raw, name+".", true, "amount", "currency", "method")
	paid := domain.Money{Minor: payment.amount("amount")}
	if text, ok := payment.text("currency", "currency_malformed"); ok {
		var err error
		paid.Currency, err = domain.ParseCurrency(payment.path+"currency", text)
		payment.add(err)
	}
	method, _ := payment.text("method", "method_malformed")
	f.errs = append(f.errs, payment.errs...)
	return paid, method
}

// callerOf reads on whose behalf a command comes: the till, the website, the member of staff, and the channel.
func callerOf(f *fields, needsChannel bool) commands.Caller {
	c := commands.Caller{Actor: id[string](f, "actor")}
	if _, present := f.raw("channel"); !present && !needsChannel {
		return c
	}
	if text, ok := f.text("channel", "channel_unknown"); ok {
		var err error
		c.Channel, err = domain.ParseChannel("channel", text)
		f.add(err)
	}
	return c
}

// maxIDLength bounds ids of messages and correlations, in bytes.
const maxIDLength = 128

// correlationOf is what the sender gave to join things by, or else the message's own id.
func correlationOf(m *message.Message) string {
	text := m.Metadata.Get(MetadataCorrelation)
	if text == "" || domain.CheckText(MetadataCorrelation, "correlation", text, maxIDLength) != nil {
		return m.UUID
	}
	return text
}
