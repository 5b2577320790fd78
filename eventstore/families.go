package eventstore

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"loyalty/domain"
)

// families are names of types without their versions: all versions of "points-awarded". What is read from the log is chosen by family, so that
// an event of a version that this program does not know is met, and not passed over.
type families map[string]bool

// has reports whether a stored name is a version of one of the families.
func (f families) has(name string) bool {
	family, _, versioned := strings.Cut(name, ".")
	return versioned && f[family]
}

// prefixes are what the stored names of the families begin with.
func (f families) prefixes() []string {
	prefixes := slices.Sorted(maps.Keys(f))
	for i := range prefixes {
		prefixes[i] += "."
	}
	return prefixes
}

// versionOf splits a stored name: "points-awarded.v2" is version 2 of the family "points-awarded". It is version 0 if the name has none.
func versionOf(name string) (family string, version int) {
	family, rest, _ := strings.Cut(name, ".")
	digits, versioned := strings.CutPrefix(rest, "v")
	version, err := strconv.Atoi(digits)
	if !versioned || err != nil || version < 1 {
		return family, 0
	}
	return family, version
}

func (r *Registry) addVersion(name string) error {
	family, version := versionOf(name)
	if family == "" || version == 0 {
		return fmt.Errorf("the event type %q has no version, as in points-awarded.v1", name)
	}
	r.newest[family] = max(r.newest[family], version)
	return nil
}

// unknown is the error about a stored name that leads to no type: domain.ErrNewerEvent if its version is higher than all that are known.
func (r *Registry) unknown(name string) error {
	family, version := versionOf(name)
	if newest, known := r.newest[family]; known && version > newest {
		return fmt.Errorf("%w (%q)", domain.ErrNewerEvent, name)
	}
	return fmt.Errorf("%w: unknown type %q", domain.ErrUndecodable, name)
}

// familiesOf are the families in which events of the given types may be stored: their own, and those that upcasters lead from. A type that is not
// registered is an error.
func (r *Registry) familiesOf(types []string) (families, error) {
	wanted := families{}
	for _, name := range types {
		if _, known := r.types[name]; !known {
			return nil, fmt.Errorf("event type %q is not registered", name)
		}
		family, _ := versionOf(name)
		wanted[family] = true
	}
	for from := range r.upcasters {
		to, err := r.current(from)
		if err != nil {
			continue // NewRegistry has refused it
		}
		if family, _ := versionOf(to); wanted[family] {
			family, _ = versionOf(from)
			wanted[family] = true
		}
	}
	return wanted, nil
}

// allFamilies are those of all registered types.
func (r *Registry) allFamilies() families {
	all := families{}
	for family := range r.newest {
		all[family] = true
	}
	return all
}
