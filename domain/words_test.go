package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unfitWords are harmless one by one and unkind, or open to a second meaning, somewhere beside some animal or adjective.
var unfitWords = strings.Fields(`
	black white brown yellow red orange green blue grey pale dark golden silver bronze platinum ebony ivory olive saffron
	rich poor cheap costly thrifty broke royal regal noble common humble
	fat slim thin skinny plump chubby ample huge big small tiny little tall short bald hairy furry naked bare
	old young youthful ancient elderly baby junior senior
	hot wet dirty naughty sexy cheeky saucy spicy juicy tender sweet cuddly frisky randy horny kinky hard easy willing
	sick ill lame blind deaf dumb mute mad crazy insane mental dead dying deadly toxic rabid patient
	stupid silly simple slow lazy ugly weird odd crafty sly mean cruel nasty evil wicked bad angry proud vain
	holy sacred divine blessed heavenly angelic pious faithful zealous devout pagan
	free loyalist imperial nationalist radical left right liberal conservative
	drunk tipsy merry high stoned mellow neat bubbly rum gin ale beer wine poppy hemp crystal
	armed atomic nuclear lethal savage wild violent bloody killer sniper
	pig hog sow boar cow calf bull ox ram goat sheep lamb dog puppy bitch cat kitten pussy ass donkey mule horse pony
	rat mouse shrew mole weasel ferret polecat mink skunk beaver bat bear wolf jackal hyena dingo coyote cougar puma panther
	cheetah sloth monkey ape gorilla baboon chimp lemur gibbon elephant rhino hippo giraffe zebra camel buffalo whale walrus
	seal dugong manatee cock hen chicken chick goose gander turkey duck tit booby shag swallow thrush gull gannet coot loon
	cuckoo owl crow raven rook magpie vulture buzzard hawk eagle harrier dove pigeon snipe grouse ostrich dodo
	snake viper cobra asp lizard toad frog newt worm slug snail leech louse flea tick fly wasp locust roach spider scorpion
	shark eel pike carp trout cod mullet sole crab prawn shrimp clam cockle winkle oyster squid octopus`)

// unfitParts are unfit wherever they stand in a word.
var unfitParts = strings.Fields(`
	cock ass tit cum sex coon gay god devil nazi gun kill dick piss shit fuc wank arse cunt fag turd slut whor rape porn
	nig anal anus pecker bitch bastard tard pig hog drug booz`)

func unfit(word string) bool {
	lower := strings.ToLower(word)
	return slices.Contains(unfitWords, lower) ||
		slices.ContainsFunc(unfitParts, func(part string) bool { return strings.Contains(lower, part) })
}

func TestWords_are_256_distinct_capitalised_words_of_3_to_10_letters(t *testing.T) {
	shape := regexp.MustCompile(`^[A-Z][a-z]{2,9}$`)
	for name, words := range map[string][]string{"adjectives": adjectives[:], "animals": animals[:]} {
		if len(words) != 256 {
			t.Errorf("%s: %d words; one byte of the key chooses among 256", name, len(words))
		}
		for i, word := range words {
			if !shape.MatchString(word) {
				t.Errorf("%s[%d]: %q is not one capitalised word of 3 to 10 letters", name, i, word)
			}
			if i > 0 && word <= words[i-1] {
				t.Errorf("%s[%d]: %q is not after %q: each list is sorted, without repeats", name, i, word, words[i-1])
			}
		}
	}
}

func TestWords_never_name_an_animal_by_its_own_name(t *testing.T) {
	for _, word := range adjectives {
		if slices.Contains(animals[:], word) {
			t.Errorf("%q is in both lists", word)
		}
	}
}

func TestWords_are_fit_for_anyone_to_see(t *testing.T) {
	for _, word := range slices.Concat(adjectives[:], animals[:]) {
		if unfit(word) {
			t.Errorf("%q is on the list of unfit words", word)
		}
	}
	for _, word := range []string{"Rich", "Pig", "Cockatoo", "Raccoon", "Woodcock", "White", "Assured"} {
		if !unfit(word) {
			t.Errorf("the list of unfit words lets %q through", word)
		}
	}
}

// A moved or changed word renames every customer who has it, so the lists are pinned whole.
func TestWords_are_the_ones_customers_know(t *testing.T) {
	sum := sha256.Sum256([]byte(strings.Join(slices.Concat(adjectives[:], animals[:]), " ")))
	const known = "be3c44ab1a7d3695199c7fe24b0de3cb97c4ca9ec92d55eb3c96a55e11ed1bb4"
	if got := hex.EncodeToString(sum[:]); got != known {
		t.Errorf("the word lists have changed: SHA-256 %s, want %s", got, known)
	}
}
