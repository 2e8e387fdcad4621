using SparseExperts.Layers;
using SparseExperts.Models.Hub;
using SparseExperts.Routing;

namespace SparseExperts.Checking.Hub;

/// <summary>The recorded choice of experts in the place of a router's own, where it was recorded: margins below rounding are the library's to decide.</summary>
sealed class RecordedChoices(int[] experts) : Substitution
{
    public int[] Experts => experts;

    /// <summary>Of a layer; null where the recording shows no choice.</summary>
    public static RecordedChoices? Of(HubModel model, Recording recording, int layer)
    {
        if (model.Layers[layer].Weights.Experts is not { } routed) return null;
        var (name, kind, d) = (RouterNames.Find(recording, layer), RouterNames.Kind(model, recording, layer), routed.Form.Dialect);
        var tokens = recording.Get("input_ids").Values.Length;
        if ((recording.Find($"{name}.experts") ?? (kind == RouterRecord.Choice ? recording.Find(name) : null)) is { } choice)
            return new(recording.Sized(choice, (long)tokens * d.K).Integers);
        // The best of the recorded numbers, where nothing but they decides.
        if (recording.Find(name) is not { } numbers || d.CorrectionBias || d.Groups > 1) return null;
        return new([.. recording.Sized(numbers, (long)tokens * routed.Form.Experts).Values.Chunk(routed.Form.Experts)
            .SelectMany(row => Ranking.Top(row, d.K, TieRule.Lowest))]);
    }

    public override Choices Choices(RouterNumbers numbers, Func<Choices> select) => select() with { Expert = experts, Candidate = experts, Slot = [] };
}
