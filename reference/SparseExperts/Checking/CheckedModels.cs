using SparseExperts.Checking.Hub;
using SparseExperts.Checking.Switch;
using SparseExperts.Formats;
using SparseExperts.Hub;

namespace SparseExperts.Checking;

/// <summary>The checked model of a checkpoint's family.</summary>
public static class CheckedModels
{
    /// <param name="recording">Says in which format the model computed, and by which version's rules.</param>
    /// <param name="backend">Makes the backend that it computes on.</param>
    /// <exception cref="InvalidFileException">The recording's inputs are none of this model.</exception>
    public static ICheckedModel Of(HubFolder folder, Recording recording, Func<IBackend> backend)
    {
        RecordedInputs.Check(folder, recording);
        return HeldTo.Of(folder, recording).Config switch
        {
            HubDecoder config => new DecoderModel(backend(), folder, config, FormatOf(folder, recording)),
            HubSwitch config => new SwitchModel(backend(), folder, config, FormatOf(folder, recording)),
            var other => throw new InvalidFileException($"{folder.Path}: {other.ModelType} is not checked; name a checkpoint of another model"),
        };
    }

    /// <summary>The model in double and disturbed.</summary>
    public static CheckedPair PairOf(HubFolder folder, Recording recording, CheckBackends backends) =>
        new(Of(folder, recording, backends.Exact), Of(folder, recording, backends.Disturbed));

    /// <summary>A recording of activations, checked.</summary>
    public static ModelVerdict Activations(HubFolder folder, Recording recording, CheckBackends backends)
    {
        var lost = RecordedInputs.OutputsNotRecorded(recording);
        var verdict = ModelCheck.Activations(Of(folder, recording, backends.Bounded), Of(folder, recording, backends.Disturbed), recording);
        return verdict with { HeldTo = HeldTo.Of(folder, recording).Lines, NotCompared = [.. recording.NotAsked], NotRecorded = lost };
    }

    /// <summary>A recording of decoding, checked.</summary>
    public static ModelVerdict Generation(HubFolder folder, Recording recording, CheckBackends backends)
    {
        var pair = PairOf(folder, recording, backends);
        return new([.. pair.Exact.Generation(recording, pair)])
        {
            HeldTo = HeldTo.Of(folder, recording).Lines,
            NotCompared = [.. recording.NotAsked],
        };
    }

    /// <summary>That of the logits; of the stored embedding where there are none.</summary>
    internal static NumberFormat FormatOf(HubFolder folder, Recording recording)
    {
        var dtype = (recording.Find("logits") ?? recording.Find("hidden_states.0"))?.DType ?? folder.Stored(folder.Tensors.All.First().Name).Entry.DType;
        return NumberFormats.OfDType(dtype) is (NumberFormat.BFloat16 or NumberFormat.Float16) and var narrow ? narrow : NumberFormat.Float32;
    }
}
