using SparseExperts.Formats;
using SparseExperts.Models.Hub;

namespace SparseExperts.Checking.Hub;

/// <summary>The padded batch that a recording was made of.</summary>
static class RecordedBatch
{
    /// <exception cref="InvalidFileException">Shapes do not fit.</exception>
    public static HubInputs Of(Recording recording)
    {
        var ids = recording.Get("input_ids");
        if (ids.Shape is not [> 0, > 0])
            throw new InvalidFileException($"{recording.Path}: input_ids is [{string.Join(", ", ids.Shape)}]; record [rows, columns]");
        int[] Like(string name) => recording.Find(name) is { } tensor ? recording.Sized(tensor, ids.Values.Length).Integers : [];
        return new(ids.Integers, (int)ids.Shape[0]) { Mask = Like("attention_mask"), Positions = Like("position_ids") };
    }
}
