package strictjson

import (
	"bytes"
	"fmt"
	"strconv"

	"loyalty/domain"
	"loyalty/domain/order"
)

// Raw is the text of a member; false if the member is absent or null.
func (o *Object) Raw(field string) ([]byte, bool) {
	for i := range o.fields {
		if o.fields[i] == field {
			value := o.values[i]
			return value, len(value) > 0 && string(value) != "null"
		}
	}
	return nil, false
}

// String reads a member that is a string, empty if it is absent. For another kind of value it is false and adds a mistake with the
// code.
func (o *Object) String(field, code string) (string, bool) {
	raw, present := o.Raw(field)
	if !present {
		return "", true
	}
	s, ok := text(raw)
	if !ok {
		o.Fail(field, code, "this must be a JSON string")
	}
	return s, ok
}

// ID reads a member that is an id, empty if it is not one.
func ID[T ~string](o *Object, field string) T { return idOf(o, field, domain.ParseID[T]) }

// FullID is ID for an id that may be a full one.
func FullID[T ~string](o *Object, field string) T { return idOf(o, field, domain.ParseFullID[T]) }

func idOf[T ~string](o *Object, field string, parse func(field, text string) (T, error)) T {
	s, ok := o.String(field, "id_malformed")
	if !ok {
		return ""
	}
	id, err := parse(field, s)
	o.Add(err)
	return id
}

// Amount reads a member that is an amount of money, a JSON string or number, into minor units, without floating point. It is false for
// an amount that domain.ParseAmount does not accept.
func (o *Object) Amount(field string) (int64, bool) {
	var s string
	if raw, present := o.Raw(field); present {
		var quoted bool
		if s, quoted = text(raw); !quoted {
			s = string(raw)
		}
	}
	minor, err := domain.ParseAmount(field, s)
	o.Add(err)
	return minor, err == nil
}

// Points reads a member that is a number of points: a JSON number without decimals or exponent. It is false for anything else. A number
// that does not fit 64 bits is read as one that is out of the domain's range.
func (o *Object) Points(field string) (domain.Points, bool) {
	raw, present := o.Raw(field)
	if !present {
		o.Fail(field, "points_missing", "say how many points, as an integer")
		return 0, false
	}
	for i, c := range raw {
		if (c < '0' || c > '9') && !(i == 0 && c == '-') {
			o.Fail(field, "points_malformed", "points are a JSON number without decimals or exponent")
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		n = int64(domain.MaxChange) + 1
	}
	return domain.Points(n), true
}

// Int reads a member that is a whole number from least to most; it is byDefault if absent. The code of a mistake is the field
// followed by _out_of_range.
func (o *Object) Int(field string, byDefault, least, most int) int {
	raw, present := o.Raw(field)
	if !present {
		return byDefault
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < least || n > most {
		o.Fail(field, field+"_out_of_range", fmt.Sprintf("%s must be a whole number from %d to %d", field, least, most))
	}
	return n
}

// Items reads the member ItemIds of an order, an array of strings, nil if it is absent. The domain checks how many they are and
// what they hold. It is false for anything else than an array of strings.
func (o *Object) Items() ([]string, bool) {
	const field = "ItemIds"
	raw, present := o.Raw(field)
	switch {
	case !present:
		return nil, true
	case raw[0] != '[':
		o.Fail(field, "items_malformed", "this must be an array of item ids")
		return nil, false
	}
	r := newReader(raw)
	defer readers.Put(r)
	_, _ = r.ReadToken() // The bracket. Parse has checked the syntax of the whole text.
	ok, items := true, make([]string, 0, min(1+bytes.Count(raw, []byte{','}), order.MaxItems))
	for r.PeekKind() != ']' {
		value, err := r.ReadValue()
		if err != nil {
			o.Add(ErrMalformed)
			return nil, false
		}
		item, isString := text(value)
		if !isString {
			o.Fail(fmt.Sprintf("%s[%d]", field, len(items)), "id_malformed", "an item id is a JSON string")
			ok = false
		}
		items = append(items, item)
	}
	return items, ok
}

var paymentFields = []string{"paymentDetails.amount", "paymentDetails.currency", "paymentDetails.method"}

// Payment reads the member paymentDetails of an order: the amount with its currency, and the method. Other members of it are
// skipped and never kept, whatever they are.
func (o *Object) Payment() (paid domain.Money, method string) {
	const field = "paymentDetails"
	raw, present := o.Raw(field)
	switch {
	case !present:
		o.Fail(field, "payment_missing", "say what was paid: an object with amount and currency")
		return domain.Money{}, ""
	case raw[0] != '{':
		o.Fail(field, "payment_malformed", "this must be an object with amount and currency")
		return domain.Money{}, ""
	}
	payment := Object{fields: paymentFields, path: field + ".", errs: o.errs}
	payment.Add(payment.read(raw, false))
	paid.Minor, _ = payment.Amount("paymentDetails.amount")
	if currency, ok := payment.String("paymentDetails.currency", "currency_malformed"); ok {
		var err error
		paid.Currency, err = domain.ParseCurrency("paymentDetails.currency", currency)
		payment.Add(err)
	}
	method, _ = payment.String("paymentDetails.method", "method_malformed")
	o.errs = payment.errs
	return paid, method
}
