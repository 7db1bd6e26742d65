package server

import (
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) updateTable(in *api.UpdateTableInput) (*api.UpdateTableOutput, error) {
	request, err := updateTableRequest(in)
	if err != nil {
		return nil, err
	}
	d, err := f.tables.Update(request)
	if err != nil {
		return nil, err
	}
	return &api.UpdateTableOutput{TableDescription: describe(d)}, nil
}

func updateTableRequest(in *api.UpdateTableInput) (table.UpdateTableRequest, error) {
	r := table.UpdateTableRequest{
		Table:          in.TableName.Value,
		BillingMode:    in.BillingMode.Value,
		Throughput:     throughput(in.ProvisionedThroughput),
		OnDemand:       onDemand(in.OnDemandThroughput),
		WarmThroughput: warm(in.WarmThroughput),
		TableClass:     in.TableClass.Value,
		Stream:         stream(in.StreamSpecification),
		SSE:            encryption(in.SSESpecification),
		Attributes:     attributeDefinitions(in.AttributeDefinitions),
	}
	if in.DeletionProtectionEnabled.Given {
		r.DeletionProtection = &in.DeletionProtectionEnabled.Value
	}
	for _, p := range []parameter{
		{"DisassociationProtectionEnabled", bool(in.DisassociationProtectionEnabled)},
		{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode.Given},
		{"GlobalTableWitnessUpdates", in.GlobalTableWitnessUpdates != nil},
		{"MultiRegionConsistency", in.MultiRegionConsistency.Given},
		{"ReplicaUpdates", in.ReplicaUpdates != nil},
		{"VectorIndexUpdates", bool(in.VectorIndexUpdates)},
	} {
		if p.given {
			r.Others = append(r.Others, p.name)
		}
	}
	for i := range in.GlobalSecondaryIndexUpdates {
		if err := addIndexUpdate(&r, &in.GlobalSecondaryIndexUpdates[i]); err != nil {
			return r, err
		}
	}
	return r, nil
}

// addIndexUpdate takes one element of GlobalSecondaryIndexUpdates, which must
// have exactly one action.
func addIndexUpdate(r *table.UpdateTableRequest, u *api.GlobalSecondaryIndexUpdate) error {
	switch actions := count(u.Create != nil, u.Delete != nil, u.Update != nil); {
	case actions == 0:
		return validationFault("One or more parameter values were invalid: " +
			"One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null")
	case actions > 1:
		return validationFault("One or more parameter values were invalid: " +
			"Only one of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete may be given")
	case u.Create != nil:
		r.CreateIndexes = append(r.CreateIndexes, table.IndexDefinition{
			Name:       u.Create.IndexName.Value,
			Keys:       keySchema(u.Create.KeySchema),
			Projection: projectionOf(u.Create.Projection),
			Throughput: throughput(u.Create.ProvisionedThroughput),
			OnDemand:   onDemand(u.Create.OnDemandThroughput),
			Warm:       warm(u.Create.WarmThroughput),
		})
	case u.Delete != nil:
		r.DeleteIndexes = append(r.DeleteIndexes, u.Delete.IndexName.Value)
	default:
		r.GlobalIndexThroughput = append(r.GlobalIndexThroughput, table.IndexThroughput{
			Name:       u.Update.IndexName.Value,
			Throughput: throughput(u.Update.ProvisionedThroughput),
			OnDemand:   onDemand(u.Update.OnDemandThroughput),
			Warm:       warm(u.Update.WarmThroughput),
		})
	}
	return nil
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}
