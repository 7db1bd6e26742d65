package table

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of a table; DynamoDB Developer Guide, "Service, account, and table
// quotas". maxPartitions is Stator's own.
const (
	maxUnits         = 1_000_000_000_000
	maxLocalIndexes  = 5
	maxGlobalIndexes = 20
	maxProjected     = 100 // NonKeyAttributes of all indexes together
	maxKeyParts      = 4   // hash or range attributes of a global index
	maxPartitions    = 4096
)

func refuse(format string, args ...any) error {
	return &ValidationError{Message: fmt.Sprintf(format, args...)}
}

// invalidValue refuses with the prefix that most of DynamoDB's texts share.
func invalidValue(format string, args ...any) error {
	return refuse("One or more parameter values were invalid: "+format, args...)
}

// checkDefinition finds the first fault of a CreateTable request, in DynamoDB's
// order: billing, the table's keys, local indexes, global indexes, attribute
// definitions, stream; then what the order of is not known.
func checkDefinition(d *Definition) error {
	for _, check := range []func(*Definition) error{
		checkBilling, checkTableKeys, checkDefinitionsUsed,
		checkLocalIndexes, checkGlobalIndexes, checkProjectedTotal,
		checkDuplicateDefinitions, checkStream, checkEncryption, checkRates, checkTags, checkPartitions, checkFacets, checkPolicySize,
	} {
		if err := check(d); err != nil {
			return err
		}
	}
	return nil
}

func checkBilling(d *Definition) error {
	switch {
	case d.BillingMode == BillingOnDemand && d.Throughput != nil:
		return invalidValue("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	case d.BillingMode != BillingOnDemand && d.Throughput == nil:
		return invalidValue("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	if err := checkUnits(d.Throughput, ""); err != nil {
		return err
	}
	for i := range d.GlobalIndexes {
		if err := checkUnits(d.GlobalIndexes[i].Throughput, d.GlobalIndexes[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// checkUnits checks the bounds of a throughput; index "" = the table's.
func checkUnits(t *Throughput, index string) error {
	if t == nil {
		return nil
	}
	where := ""
	if index != "" {
		where = " for index " + index
	}
	if t.Read > maxUnits {
		return refuse("Given value %d for ReadCapacityUnits is out of bounds%s", t.Read, where)
	}
	if t.Write > maxUnits {
		return refuse("Given value %d for WriteCapacityUnits is out of bounds%s", t.Write, where)
	}
	return nil
}

func checkTableKeys(d *Definition) error {
	if len(d.Keys) > len(d.Attributes) {
		return refuse("Invalid KeySchema: Some index key attribute have no definition")
	}
	if err := checkKeysDefined(d, d.Keys); err != nil {
		return err
	}
	return checkKeyRoles(d.Keys)
}

func checkKeysDefined(d *Definition, keys []KeyElement) error {
	for _, k := range keys {
		if d.typeOf(k.Name) == 0 {
			return invalidValue("Some index key attributes are not defined in AttributeDefinitions. Keys: %s, AttributeDefinitions: %s",
				printed(keyNames(keys)), printed(definedNames(d)))
		}
	}
	return nil
}

// checkKeyRoles checks a key schema of one HASH and possibly one RANGE element.
func checkKeyRoles(keys []KeyElement) error {
	if len(keys) > 1 && keys[0].Name == keys[1].Name {
		return refuse("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	if len(keys) == 0 || keys[0].Role != Hash {
		return refuse("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	}
	if len(keys) > 1 && keys[1].Role != Range {
		return refuse("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	}
	if len(keys) > 2 {
		return invalidValue("KeySchema may have at most 2 elements")
	}
	return nil
}

// checkDefinitionsUsed refuses attribute definitions that no key uses.
func checkDefinitionsUsed(d *Definition) error {
	if !d.hasIndexes() {
		if err := checkDuplicateDefinitions(d); err != nil {
			return err
		}
		if len(d.Keys) != len(d.Attributes) {
			return invalidValue("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
		}
		return nil
	}
	used := d.usedNames()
	for _, a := range d.Attributes {
		if !slices.Contains(used, a.Name) {
			return invalidValue("Some AttributeDefinitions are not used. AttributeDefinitions: %s, keys used: %s",
				printed(definedNames(d)), printed(used))
		}
	}
	return nil
}

func (d *Definition) hasIndexes() bool {
	return d.LocalIndexesGiven || d.GlobalIndexesGiven || len(d.LocalIndexes) > 0 || len(d.GlobalIndexes) > 0
}

// usedNames returns the key attributes of table and indexes, each once.
func (d *Definition) usedNames() []string {
	used := keyNames(d.Keys)
	for _, list := range [][]IndexDefinition{d.LocalIndexes, d.GlobalIndexes} {
		for i := range list {
			for _, name := range keyNames(list[i].Keys) {
				if !slices.Contains(used, name) {
					used = append(used, name)
				}
			}
		}
	}
	return used
}

func checkLocalIndexes(d *Definition) error {
	if d.LocalIndexesGiven && len(d.LocalIndexes) == 0 {
		return invalidValue("List of LocalSecondaryIndexes is empty")
	}
	if len(d.LocalIndexes) == 0 {
		return nil
	}
	if len(d.Keys) < 2 {
		return invalidValue("Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
	}
	for i := range d.LocalIndexes {
		x := &d.LocalIndexes[i]
		if err := checkLocalKeys(d, x); err != nil {
			return err
		}
		if err := checkProjection(x); err != nil {
			return err
		}
		if hasIndex(d.LocalIndexes[:i], x.Name) {
			return invalidValue("Duplicate index name: %s", x.Name)
		}
	}
	if len(d.LocalIndexes) > maxLocalIndexes {
		return invalidValue("Number of LocalSecondaryIndexes exceeds per-table limit of %d", maxLocalIndexes)
	}
	return nil
}

func checkLocalKeys(d *Definition, x *IndexDefinition) error {
	if err := checkKeysDefined(d, x.Keys); err != nil {
		return err
	}
	if err := checkKeyRoles(x.Keys); err != nil {
		return err
	}
	if len(x.Keys) < 2 {
		return invalidValue("Index KeySchema does not have a range key for index: %s", x.Name)
	}
	if x.Keys[0].Name != d.Keys[0].Name {
		return invalidValue("Index KeySchema does not have the same leading hash key as table KeySchema for index: %s. "+
			"index hash key: %s, table hash key: %s", x.Name, x.Keys[0].Name, d.Keys[0].Name)
	}
	return nil
}

func checkProjection(x *IndexDefinition) error {
	if x.Projection == nil || x.Projection.Type == "" {
		return invalidValue("Unknown ProjectionType: null")
	}
	if x.Projection.Type != "INCLUDE" && x.Projection.NonKeyAttributes != nil {
		return invalidValue("ProjectionType is %s, but NonKeyAttributes is specified", x.Projection.Type)
	}
	if x.Projection.Type == "INCLUDE" && len(x.Projection.NonKeyAttributes) == 0 {
		return invalidValue("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
	}
	for i, name := range x.Projection.NonKeyAttributes {
		if slices.Contains(x.Projection.NonKeyAttributes[:i], name) {
			return invalidValue("Duplicate non-key attribute: %s, index: %s", name, x.Name)
		}
	}
	return nil
}

func checkGlobalIndexes(d *Definition) error {
	if d.GlobalIndexesGiven && len(d.GlobalIndexes) == 0 {
		return invalidValue("List of GlobalSecondaryIndexes is empty")
	}
	for i := range d.GlobalIndexes {
		x := &d.GlobalIndexes[i]
		if err := checkGlobalKeys(d, x); err != nil {
			return err
		}
		if err := checkProjection(x); err != nil {
			return err
		}
		if hasIndex(d.GlobalIndexes[:i], x.Name) || hasIndex(d.LocalIndexes, x.Name) {
			return invalidValue("Duplicate index name: %s", x.Name)
		}
		if err := checkIndexBilling(d, x); err != nil {
			return err
		}
	}
	if len(d.GlobalIndexes) > maxGlobalIndexes {
		return invalidValue("GlobalSecondaryIndex count exceeds the per-table limit of %d", maxGlobalIndexes)
	}
	return nil
}

// checkGlobalKeys checks a key schema of up to four HASH and then up to four
// RANGE elements.
func checkGlobalKeys(d *Definition, x *IndexDefinition) error {
	if err := checkKeysDefined(d, x.Keys); err != nil {
		return err
	}
	if len(x.Keys) <= 2 && !(len(x.Keys) == 2 && x.Keys[1].Role == Hash) {
		return checkKeyRoles(x.Keys)
	}
	names := keyNames(x.Keys)
	hashes := 0
	for i, k := range x.Keys {
		if slices.Contains(names[:i], k.Name) {
			return refuse("Both the Hash Key and the Range Key element in the KeySchema have the same name")
		}
		switch {
		case k.Role == Hash && hashes == i:
			hashes++
		case k.Role == Hash:
			return invalidValue("KeySchema must list all HASH elements before RANGE elements for index: %s", x.Name)
		case i == 0:
			return refuse("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
		}
	}
	if hashes > maxKeyParts || len(x.Keys)-hashes > maxKeyParts {
		return invalidValue("KeySchema may have at most %d HASH and %d RANGE elements for index: %s", maxKeyParts, maxKeyParts, x.Name)
	}
	return nil
}

func checkIndexBilling(d *Definition, x *IndexDefinition) error {
	if d.BillingMode == BillingOnDemand {
		if x.Throughput != nil {
			return indexUnitsOnDemand(x.Name)
		}
		return nil
	}
	if x.Throughput == nil {
		return invalidValue("ProvisionedThroughput must be specified for index: %s", x.Name)
	}
	return nil
}

func indexUnitsOnDemand(index string) error {
	return invalidValue("ProvisionedThroughput should not be specified for index: %s when BillingMode is PAY_PER_REQUEST", index)
}

func checkProjectedTotal(d *Definition) error {
	total := 0
	for _, list := range [][]IndexDefinition{d.LocalIndexes, d.GlobalIndexes} {
		for i := range list {
			total += len(list[i].Projection.NonKeyAttributes)
		}
	}
	if total > maxProjected {
		return invalidValue("Number of NonKeyAttributes of all indexes exceeds the per-table limit of %d", maxProjected)
	}
	return nil
}

func checkDuplicateDefinitions(d *Definition) error {
	names := definedNames(d)
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return invalidValue("Duplicate AttributeName in AttributeDefinitions: %s", name)
		}
	}
	return nil
}

func checkStream(d *Definition) error {
	if s := d.Stream; s != nil && !s.Enabled && s.ViewType != "" {
		return invalidValue("Table is being created with stream disabled, StreamViewType may not be specified")
	}
	return d.Stream.check()
}

// checkRates checks the rates that are beyond provisioned throughput.
func checkRates(d *Definition) error {
	if err := d.checkCaps(); err != nil {
		return err
	}
	for i := range d.GlobalIndexes {
		x := &d.GlobalIndexes[i]
		if err := checkWarm(d.implied(x.Throughput), x.Warm, x.Name); err != nil {
			return err
		}
	}
	return checkWarm(d.implied(d.Throughput), d.WarmThroughput, "")
}

func checkPartitions(d *Definition) error {
	if d.Partitions < 0 || d.Partitions > maxPartitions {
		return invalidValue("A table starts with 1 to %d partitions, not %d", maxPartitions, d.Partitions)
	}
	return nil
}

func checkPolicySize(d *Definition) error { return policySize(d.Policy) }

func hasIndex(list []IndexDefinition, name string) bool {
	return slices.ContainsFunc(list, func(x IndexDefinition) bool { return x.Name == name })
}

func keyNames(keys []KeyElement) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	return names
}

func definedNames(d *Definition) []string {
	names := make([]string, len(d.Attributes))
	for i, a := range d.Attributes {
		names[i] = a.Name
	}
	return names
}

// printed shows a list of names as [a, b].
func printed(names []string) string { return "[" + strings.Join(names, ", ") + "]" }
