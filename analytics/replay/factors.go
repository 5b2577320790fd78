package replay

// factors are the multipliers of those orders that have one. Ids of up to 31 bytes, which nearly all are, are kept as they are, so that
// the garbage collector has no millions of texts to follow.
type factors struct {
	short map[[32]byte]uint8
	long  map[string]uint8
}

// short is an id with its length behind it, and false if it is too long for that.
func short(id []byte) (key [32]byte, ok bool) {
	if len(id) >= len(key) {
		return key, false
	}
	copy(key[:], id)
	key[len(key)-1] = byte(len(id))
	return key, true
}

func (f *factors) set(id []byte, multiplier uint8) {
	key, ok := short(id)
	switch {
	case ok && f.short == nil:
		f.short = map[[32]byte]uint8{key: multiplier}
	case ok:
		f.short[key] = multiplier
	case f.long == nil:
		f.long = map[string]uint8{string(id): multiplier}
	default:
		f.long[string(id)] = multiplier
	}
}

// of is the multiplier of an order, 0 if it has none.
func (f *factors) of(id []byte) uint8 {
	if key, ok := short(id); ok {
		return f.short[key]
	}
	return f.long[string(id)]
}
