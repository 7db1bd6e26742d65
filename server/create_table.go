package server

import (
	"strconv"
	"strings"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) createTable(in *api.CreateTableInput) (*api.CreateTableOutput, error) {
	if err := refuseCreateParameters(in); err != nil {
		return nil, err
	}
	d, err := definition(in)
	if err != nil {
		return nil, err
	}
	made, err := f.tables.Create(d)
	if err != nil {
		return nil, err
	}
	return &api.CreateTableOutput{TableDescription: describe(made)}, nil
}

// refuseCreateParameters names parameters that would have to be ignored.
func refuseCreateParameters(in *api.CreateTableInput) error {
	parameters := []parameter{
		{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode.Given},
		{"GlobalTableSourceArn", in.GlobalTableSourceArn.Given},
		{"VectorIndexes", bool(in.VectorIndexes)},
	}
	if anyGiven(parameters) {
		return notBuiltFault("CreateTable with " + given(parameters))
	}
	return nil
}

func definition(in *api.CreateTableInput) (table.Definition, error) {
	d := table.Definition{
		Name:               in.TableName.Value,
		Attributes:         attributeDefinitions(in.AttributeDefinitions),
		Keys:               keySchema(in.KeySchema),
		LocalIndexesGiven:  in.LocalSecondaryIndexes != nil,
		GlobalIndexesGiven: in.GlobalSecondaryIndexes != nil,
		BillingMode:        in.BillingMode.Value,
		Throughput:         throughput(in.ProvisionedThroughput),
		OnDemand:           onDemand(in.OnDemandThroughput),
		WarmThroughput:     warm(in.WarmThroughput),
		TableClass:         in.TableClass.Value,
		DeletionProtection: in.DeletionProtectionEnabled.Value,
	}
	for i := range in.LocalSecondaryIndexes {
		d.LocalIndexes = append(d.LocalIndexes, localIndex(&in.LocalSecondaryIndexes[i]))
	}
	for i := range in.GlobalSecondaryIndexes {
		d.GlobalIndexes = append(d.GlobalIndexes, globalIndex(&in.GlobalSecondaryIndexes[i]))
	}
	d.Stream, d.SSE = stream(in.StreamSpecification), encryption(in.SSESpecification)
	d.Tags = tags(in.Tags)
	if d.Policy = in.ResourcePolicy.Value; in.ResourcePolicy.Given {
		if err := checkPolicy(d.Policy); err != nil {
			return d, err
		}
	}
	var err error
	d.Partitions, err = partitions(d.Tags)
	d.Facets = facets(d.Tags)
	return d, err
}

// facets takes the names of attributes from a tag: stator:facets = status, region.
// Like partitionsTag it is an option of Stator.
func facets(tags []table.Tag) (names []string) {
	for _, t := range tags {
		if t.Key != table.FacetsTag {
			continue
		}
		for name := range strings.SplitSeq(t.Value, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// partitionsTag lets a client choose how many partitions a table starts with.
// It is an option of Stator, given as a tag because every SDK can send tags.
const partitionsTag = "stator:partitions"

func partitions(tags []table.Tag) (int, error) {
	for _, t := range tags {
		if t.Key != partitionsTag {
			continue
		}
		n, err := strconv.Atoi(t.Value)
		if err != nil || n < 1 {
			return 0, validationFault("Tag " + partitionsTag + " must be a positive number, got '" + t.Value + "'")
		}
		return n, nil
	}
	return 0, nil
}

func attributeDefinitions(in []api.AttributeDefinition) []table.AttributeDefinition {
	types := map[string]item.Type{"S": item.S, "N": item.N, "B": item.B}
	out := make([]table.AttributeDefinition, len(in))
	for i, a := range in {
		out[i] = table.AttributeDefinition{Name: a.AttributeName.Value, Type: types[a.AttributeType.Value]}
	}
	return out
}

func keySchema(in []api.KeySchemaElement) []table.KeyElement {
	roles := map[string]table.KeyRole{"HASH": table.Hash, "RANGE": table.Range}
	out := make([]table.KeyElement, len(in))
	for i, k := range in {
		out[i] = table.KeyElement{Name: k.AttributeName.Value, Role: roles[k.KeyType.Value]}
	}
	return out
}

func localIndex(in *api.LocalSecondaryIndex) table.IndexDefinition {
	return table.IndexDefinition{
		Name:       in.IndexName.Value,
		Keys:       keySchema(in.KeySchema),
		Projection: projectionOf(in.Projection),
	}
}

func globalIndex(in *api.GlobalSecondaryIndex) table.IndexDefinition {
	return table.IndexDefinition{
		Name:       in.IndexName.Value,
		Keys:       keySchema(in.KeySchema),
		Projection: projectionOf(in.Projection),
		Throughput: throughput(in.ProvisionedThroughput),
		OnDemand:   onDemand(in.OnDemandThroughput),
		Warm:       warm(in.WarmThroughput),
	}
}

func stream(in *api.StreamSpecification) *table.StreamSpec {
	if in == nil {
		return nil
	}
	return &table.StreamSpec{Enabled: in.StreamEnabled.Value, ViewType: in.StreamViewType.Value}
}

func encryption(in *api.SSESpecification) *table.SSESpec {
	if in == nil {
		return nil
	}
	return &table.SSESpec{Enabled: in.Enabled.Value, Type: in.SSEType.Value, KMSKeyID: in.KMSMasterKeyId.Value}
}

func projectionOf(in *api.Projection) *table.Projection {
	if in == nil {
		return nil
	}
	return &table.Projection{Type: in.ProjectionType.Value, NonKeyAttributes: in.NonKeyAttributes}
}

func throughput(in *api.ProvisionedThroughput) *table.Throughput {
	if in == nil {
		return nil
	}
	return &table.Throughput{Read: in.ReadCapacityUnits.Value, Write: in.WriteCapacityUnits.Value}
}

func warm(in *api.WarmThroughput) *table.Throughput {
	if in == nil {
		return nil
	}
	return &table.Throughput{Read: in.ReadUnitsPerSecond.Value, Write: in.WriteUnitsPerSecond.Value}
}

func onDemand(in *api.OnDemandThroughput) *table.OnDemandThroughput {
	if in == nil {
		return nil
	}
	return &table.OnDemandThroughput{MaxRead: in.MaxReadRequestUnits.Value, MaxWrite: in.MaxWriteRequestUnits.Value}
}
