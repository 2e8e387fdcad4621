using SparseExperts.Hub;

namespace SparseExperts.Checking;

/// <summary>Recorded steps of AdamW, repeated.</summary>
public static class TrainingCheck
{
    public static ModelVerdict Run(HubFolder folder, Recording recording, CheckBackends backends) => throw new NotImplementedException();
}
