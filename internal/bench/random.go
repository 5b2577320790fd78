package bench

import "math"

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014): it turns every number into one that looks random.
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// normal turns two random numbers into one of the standard normal distribution, by the transform of Box and Muller (1958).
func normal(one, two uint64) float64 {
	u, v := float64(one>>11+1)/(1<<53), float64(two>>11)/(1<<53)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
