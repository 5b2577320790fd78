package replay

// factors are the numbers of the multipliers of orders that have one. Ids of up to 31 bytes, which nearly all are, are stored in arrays, so
// that the garbage collector does not have to scan millions of strings.
type factors struct {
	short map[[32]byte]uint8
	long  map[string]uint8
}

// short is an id followed by its length. It is false for an id that is too long.
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

// of is the number of the multiplier of an order, 0 if it has none.
func (f *factors) of(id []byte) uint8 {
	if key, ok := short(id); ok {
		return f.short[key]
	}
	return f.long[string(id)]
}
