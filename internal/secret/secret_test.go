package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"loyalty/domain"
	"loyalty/internal/secret"
)

const (
	random32 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	base64Of = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="
)

func TestAProxySecretIsReadInOneWay(t *testing.T) {
	decoded, err := hex.DecodeString(random32)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		key  []byte
		says string
	}{
		"hexadecimal digits":           {random32, decoded, ""},
		"in capitals":                  {strings.ToUpper(random32), decoded, ""},
		"base64":                       {base64Of, []byte(base64Of), ""},
		"base64url without padding":    {"n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg", []byte("n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"), ""},
		"a text that is said to be so": {"text:a shop's old key", []byte("a shop's old key"), ""},
		"digits that stay a text":      {"text:" + random32, []byte(random32), ""},
		"a short text":                 {"text:fifteen bytes..", nil, "at least 16 bytes"},
		"nothing":                      {"", nil, "openssl rand -hex 32"},
		"a digit is missing":           {random32[1:], nil, "63 hexadecimal digits"},
		"two digits are missing":       {random32[2:], nil, "62 hexadecimal digits"},
		"a digit too many":             {random32 + "0", nil, "65 hexadecimal digits"},
		"base64 of 31 bytes":           {base64Of[:41], nil, "less than 43"},
		"zeros":                        {strings.Repeat("0", 64), nil, "repeats itself"},
		"a block again and again":      {strings.Repeat("deadbeefcafebabe", 4), nil, "repeats itself"},
		"counted up":                   {strings.Repeat("0123456789abcdef", 4), nil, "counts up"},
		"the alphabet":                 {"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", nil, "counts up"},
		"words":                        {"correct-horse-battery-staple-and-what-else-I-know", nil, "text:"},
		"words with spaces":            {"correct horse battery staple and what else I know", nil, "text:"},
		"words in capitals":            {"CORRECT-HORSE-BATTERY-STAPLE-AND-WHAT-ELSE-I-KNOW", nil, "looks like words"},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := secret.Key(c.text)
			if c.says == "" && (err != nil || !bytes.Equal(key, c.key)) {
				t.Errorf("got %q, %v; want %q", key, err, c.key)
			}
			if c.says != "" && (err == nil || key != nil || !strings.Contains(err.Error(), c.says) || c.text != "" && strings.Contains(err.Error(), c.text)) {
				t.Errorf("got %q, %v; want an error that says %q and not the secret", key, err, c.says)
			}
		})
	}
}

func TestATokenSecretIsItsTextAndStrong(t *testing.T) {
	for text, strong := range map[string]bool{
		random32:                               true,
		base64Of:                               true,
		"q7!Zp2#vKd9$Lm4^Xw8&Rt1*Gb6(Hn3)":     true, // 32 characters of all kinds
		random32[:62]:                          false,
		base64Of[:32]:                          false,
		"q7!Zp2#vKd9$Lm4^Xw8&Rt1*Gb6(Hn3":      false,
		strings.Repeat("x", 32):                false,
		strings.Repeat("q7!Z", 10):             false,
		"a secret that signs the tokens of us": false,
		"text:" + base64Of[:20]:                false,
	} {
		key, err := secret.Token(text)
		if strong && (err != nil || string(key) != text) {
			t.Errorf("%q: %q, %v", text, key, err)
		}
		if !strong && (err == nil || key != nil || !strings.Contains(err.Error(), "openssl rand -hex 32")) {
			t.Errorf("%q: %q, %v; want an error", text, key, err)
		}
	}
}

// Given random keys as people make them
// Then none is taken for weak.
func TestARandomSecretIsNeverWeak(t *testing.T) {
	random := rand.NewChaCha8([32]byte{22})
	for range 20_000 {
		key := make([]byte, 32)
		random.Read(key)
		printable := make([]byte, 32)
		for i := range printable {
			printable[i] = '!' + byte(random.Uint64()%94)
		}
		for _, text := range []string{hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key)} {
			if _, err := secret.Key(text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if _, err := secret.Token(text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		if _, err := secret.Token(string(printable)); err != nil {
			t.Fatalf("%s: %v", printable, err)
		}
	}
}

// Given passphrases of words that were drawn by dice
// Then nearly all are told apart from random text.
func TestAPassphraseIsToldApart(t *testing.T) {
	random := rand.New(rand.NewPCG(22, 22))
	for name, join := range map[string]func(words []string) string{
		"with dashes":            func(words []string) string { return strings.ToLower(strings.Join(words, "-")) },
		"with spaces":            func(words []string) string { return strings.ToLower(strings.Join(words, " ")) },
		"with nothing":           func(words []string) string { return strings.ToLower(strings.Join(words, "")) },
		"in capitals":            func(words []string) string { return strings.ToUpper(strings.Join(words, "_")) },
		"with capitals in front": func(words []string) string { return strings.Join(words, "-") },
	} {
		const drawn = 2000
		missed := 0
		for range drawn {
			var words []string
			for len(join(words)) < 44 {
				key := domain.ProxyKey{byte(random.Uint32()), byte(random.Uint32())}
				words = append(words, strings.Fields(key.Name())[:2]...)
			}
			if _, err := secret.Token(join(words)); err == nil {
				missed++
			}
		}
		if missed > drawn/100 {
			t.Errorf("%s: %d of %d pass for random", name, missed, drawn)
		}
	}
}
