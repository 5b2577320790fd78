package redis

import (
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// The fields of an entry that was not written by Watermill. All others are metadata.
const (
	fieldID      = "id"
	fieldPayload = "payload"
)

// unmarshaller reads entries as Watermill writes them, and plain ones, as a program writes them that has only Redis. It never
// fails: redisstream would end the subscription at an entry that can't be read, and the next subscription would get it again. An
// unreadable entry becomes a message without a name, which is poisoned as an unknown command.
type unmarshaller struct{}

// Unmarshal makes a message of the fields of an entry. The error is always nil.
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
