package secret

import (
	"math"
	"strings"
)

// certainty is how much likelier, in bits, a text must be as the work of a person than as random, to be taken for that.
//
// A random text is refused with a probability of at most 3 × 2^-24, one in five million, whatever the guesses below are: over all texts of one
// length a guess hands out a probability of 1, so that no more than 2^-24 of them can be 2^24 times likelier under it than under chance
// (Markov's inequality), and a text is compared with three guesses.
const certainty = 24

// guessed returns an error for a text that a person made up. Guesses say how likely each next character is after those before it; one
// that is right about many of them knows more about the text than chance does.
func guessed(text string) error {
	size := 64.0 // of the alphabet: as many characters are equally likely in a random text, or more
	if consistsOf(text, hexDigits) {
		size = 16
	}
	if likelier(text, size, newHabits(size)) {
		return errWeak("repeats itself or counts up")
	}
	if size == 64 && (likelier(text, size, newWords()) || likelier(swapCase(text), size, newWords())) {
		return errWeak("looks like words")
	}
	return nil
}

// likelier tells whether a text of an alphabet of some size is as guess says, rather than random.
func likelier(text string, size float64, guess func(next byte) float64) bool {
	bits := 0.0
	for i := range len(text) {
		bits += math.Log2(guess(text[i]) * size)
	}
	return bits > certainty
}

// newHabits guesses that what followed two characters the last time follows them again (1 in 4), or that the text counts up or down (1 in 8
// each).
func newHabits(size float64) func(byte) float64 {
	var before [2]byte
	followed := map[[2]byte]byte{}
	return func(next byte) float64 {
		p := 1 / (2 * size)
		if followed[before] == next {
			p += 1.0 / 4
		}
		if next == before[1]+1 || next == before[1]-1 {
			p += 1.0 / 8
		}
		followed[before] = next
		before = [2]byte{before[1], next}
		return p
	}
}

// The kinds of characters in words, each with the share of the kinds that follow it.
type kind int

const (
	small kind = iota
	capital
	other
)

var follows = [...][3]float64{
	small:   {small: 0.8, capital: 0.05, other: 0.15},
	capital: {small: 0.8, capital: 0.1, other: 0.1},
	other:   {small: 0.5, capital: 0.35, other: 0.15},
}

// newWords guesses that the text is of English words, joined by anything or by their capitals: small letters follow each other, and four of
// five are among the twelve that are common.
func newWords() func(byte) float64 {
	const common, others = "etaoinshrdlu", 64 - 2*26
	before := other
	return func(next byte) float64 {
		k, p := kindOf(next), 0.0
		switch letter := next | 0x20; {
		case k == other:
			p = 1.0 / others
		case strings.IndexByte(common, letter) >= 0:
			p = 0.8 / float64(len(common))
		default:
			p = 0.2 / float64(26-len(common))
		}
		p *= follows[before][k]
		before = k
		return p
	}
}

func kindOf(c byte) kind {
	switch {
	case 'a' <= c && c <= 'z':
		return small
	case 'A' <= c && c <= 'Z':
		return capital
	}
	return other
}

// swapCase swaps small and capital letters: words may be in capitals.
func swapCase(text string) string {
	swapped := []byte(text)
	for i, c := range swapped {
		if kindOf(c) != other {
			swapped[i] = c ^ 0x20
		}
	}
	return string(swapped)
}
