package redis

import "context"

// TrimNow trims without waiting for the next time.
func (b *Broker) TrimNow(ctx context.Context) (int64, error) { return b.trim(ctx) }

// ReadEntry reads an entry as the subscriber does.
var ReadEntry = unmarshaller{}.Unmarshal

// ParseAddress is Open without a client.
func ParseAddress(text string) error {
	_, err := parseAddress(text)
	return err
}
