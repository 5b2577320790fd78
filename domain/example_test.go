package domain_test

import (
	"fmt"

	"loyalty/domain"
)

// One point per £10, rounded to the nearest integer, halves up.
func ExamplePolicy_Points() {
	policy := domain.DefaultPolicy()
	for _, amount := range []string{"4.99", "5.00", "14.99", "15.00", "129.99"} {
		minor, _ := domain.ParseAmount("amount", amount)
		points, _ := policy.Points(domain.Money{Minor: minor, Currency: domain.GBP})
		fmt.Printf("£%s earns %d\n", amount, points)
	}
	// Output:
	// £4.99 earns 0
	// £5.00 earns 1
	// £14.99 earns 1
	// £15.00 earns 2
	// £129.99 earns 13
}

// Bad input names its field and says what would be accepted.
func ExampleParseAmount() {
	_, err := domain.ParseAmount("paymentDetails.amount", "19.999")
	fmt.Println(err)
	// Output: invalid input: paymentDetails.amount (amount_too_precise): the amount must have at most two decimals
}

// Others see a customer under a name that only the holder of the secret can tie to an id.
func ExampleProxies() {
	proxies, err := domain.NewProxies([]byte("0123456789abcdef"))
	if err != nil {
		panic(err)
	}
	fmt.Println(proxies.Key("c-1").Name())
	// Output: Sprightly Flamingo 698266
}
