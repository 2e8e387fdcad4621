using SparseExperts.Formats;
using SparseExperts.Hub;

namespace SparseExperts.Checking;

/// <summary>
/// What a recording has to say before anything is computed from it: tokens of the model's vocabulary, of which some count, at places that there are.
/// </summary>
static class RecordedInputs
{
    /// <summary>From here on float32 skips whole numbers.</summary>
    const int FirstSkipped = 1 << 24;

    /// <exception cref="InvalidFileException">Ids of no token, a mask that leaves none, a position too far.</exception>
    public static void Check(HubFolder folder, Recording recording)
    {
        var vocabulary = folder.Tensors.All.First().Shape[0];
        Each("input_ids", id => id >= 0 && id < vocabulary, $"the model has {vocabulary} tokens; record it of this model");
        Each("decoder_input_ids", id => id < vocabulary, $"the model has {vocabulary} tokens; record it of this model");
        Each("position_ids", at => at < FirstSkipped, $"float32 knows whole numbers up to {FirstSkipped}; record positions of a text");
        if (recording.Find("attention_mask") is { Values.Length: > 0 } mask && mask.Values.All(m => m == 0))
            throw new InvalidFileException($"{recording.Path}: attention_mask is 0 everywhere, so that nothing could be compared; record a text");

        void Each(string name, Func<double, bool> isRight, string remedy)
        {
            if (recording.Find(name) is not { } tensor || Array.FindIndex(tensor.Values, v => !isRight(v)) is not (>= 0 and var wrong)) return;
            throw new InvalidFileException($"{recording.Path}: {name}[{wrong}] is {tensor.Values[wrong]:R}; {remedy}");
        }
    }

    /// <summary>Outputs that were not recorded of blocks whose inputs were.</summary>
    public static IReadOnlyList<string> OutputsNotRecorded(Recording recording)
    {
        const string block = "block.", input = ".in", output = ".out";
        string[] outputs = [.. recording.Names
            .Where(name => name.StartsWith(block, StringComparison.Ordinal) && name.EndsWith(input, StringComparison.Ordinal))
            .Select(name => name[..^input.Length] + output)];
        return [.. outputs.Where(name => !recording.Has(name)).Order(StringComparer.Ordinal)];
    }
}
