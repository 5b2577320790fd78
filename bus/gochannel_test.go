package bus_test

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"loyalty/bus"
	"loyalty/bus/bustest"
)

// goChannel is Watermill's broker in memory. It has no consumer groups, and gives a new subscription all there ever was.
func goChannel(t testing.TB) bustest.Broker {
	channel := gochannel.NewGoChannel(gochannel.Config{Persistent: true}, nil)
	t.Cleanup(func() {
		if err := channel.Close(); err != nil {
			t.Error(err)
		}
	})
	subscriber := func() message.Subscriber { return channel }
	return bustest.Broker{Publisher: channel, Subscriber: subscriber, Reader: channel, Topics: bus.TopicsUnder("test."), Concurrency: 1}
}

func TestTheContractHoldsOnGoChannels(t *testing.T) { bustest.Run(t, goChannel) }
