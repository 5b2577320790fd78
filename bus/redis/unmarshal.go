package redis

import (
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// The fields of a stream's entry that was not written by Watermill. All others are metadata.
const (
	fieldID      = "id"
	fieldPayload = "payload"
)

// unmarshaller reads entries as Watermill writes them, and plain ones, as a till writes them that knows only Redis. It
// never fails: redisstream ends a subscription at an entry that can't be read, which would then come to the next one. What
// can't be read comes out as a message without a name, which is put aside like any other command nobody knows.
type unmarshaller struct{}

// Unmarshal makes a message of an entry.
func (unmarshaller) Unmarshal(values map[string]any) (*message.Message, error) {
	if _, watermills := values[redisstream.UUIDHeaderKey].(string); watermills {
		if m, err := fromWatermill(values); err == nil {
			return m, nil
		}
	}
	id, _ := values[fieldID].(string)
	if id == "" {
		id, _ = values[redisstream.UUIDHeaderKey].(string)
	}
	if id == "" {
		id = uuid.NewString()
	}
	payload, _ := values[fieldPayload].(string)
	m := message.NewMessage(id, []byte(payload))
	for name, value := range values {
		if text, ok := value.(string); ok && name != fieldID && name != fieldPayload && name != redisstream.UUIDHeaderKey && name != "metadata" {
			m.Metadata.Set(name, text)
		}
	}
	return m, nil
}

func fromWatermill(values map[string]any) (*message.Message, error) {
	return redisstream.DefaultMarshallerUnmarshaller{}.Unmarshal(values)
}
