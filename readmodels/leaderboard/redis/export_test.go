package redis

import "context"

// Remove removes all of a board from its server, if that can be reached.
func Remove(address string) {
	b, err := Open(context.Background(), address)
	if err != nil {
		return
	}
	defer b.Close()
	prefix := "loyalty:{" + b.name + "}:"
	for _, keys := range [][]string{b.keys, boardKeys(prefix + "copy:")} {
		b.client.Unlink(context.Background(), keys...)
	}
}
