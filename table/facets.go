package table

import (
	"slices"

	"github.com/statordb/stator/partition"
)

// FacetsTag names the tag by which CreateTable takes Definition.Facets. The names
// of attributes in its value may have characters that other tags may not.
const FacetsTag = "stator:facets"

// maxAttributeName bounds the name of an attribute in bytes; Developer Guide,
// "Service, account, and table quotas".
const maxAttributeName = 65535

func checkFacets(d *Definition) error {
	if len(d.Facets) > partition.MaxFacets {
		return invalidValue("A table has at most %d facets, not %d", partition.MaxFacets, len(d.Facets))
	}
	for i, name := range d.Facets {
		switch {
		case name == "" || len(name) > maxAttributeName:
			return invalidValue("The name of a facet has 1 to %d bytes, not %d", maxAttributeName, len(name))
		case slices.Contains(d.Facets[:i], name):
			return invalidValue("Duplicate facet: %s", name)
		}
	}
	return nil
}
